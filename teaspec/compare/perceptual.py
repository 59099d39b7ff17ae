"""LPIPS, where the user has it. Nothing is downloaded for it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

_LEAST = 32
"""Its network halves height and width several times; smaller images are enlarged to this."""

Lpips = Callable[[Tensor, Tensor], float]


def find_lpips() -> tuple[Lpips | None, str | None]:
    """Returns what measures LPIPS, from 0 on: the mean over the images of two clips; or why there is nothing."""
    if find_spec("lpips") is None or find_spec("torchvision") is None:
        return None, "LPIPS is measured where the packages lpips and torchvision are installed"
    try:
        models, package = importlib.import_module("torchvision.models"), importlib.import_module("lpips")
    except (ImportError, RuntimeError) as error:  # a torchvision for another torch fails in many ways
        return None, f"LPIPS is not measured: lpips or torchvision cannot be imported: {error}"
    weights = models.AlexNet_Weights.IMAGENET1K_V1
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    if not path.is_file():
        return None, f"LPIPS is not measured: its network's weights are not at {path}; `lpips.LPIPS()` downloads them"
    network = package.LPIPS(net="alex", verbose=False).eval()

    @torch.no_grad()
    def lpips(images: Tensor, expected: Tensor) -> float:
        return float(network(_prepared(images), _prepared(expected)).mean())

    return lpips, None


def _prepared(images: Tensor) -> Tensor:
    """Three channels from -1 to 1, large enough."""
    colours = images[:, :3] if images.shape[1] >= 3 else images.expand(-1, 3, -1, -1)
    scale = _LEAST / min(images.shape[-2:])
    if scale > 1:
        colours = torch.nn.functional.interpolate(colours, scale_factor=scale)
    return 2 * colours - 1
