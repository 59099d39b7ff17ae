"""The figures of a comparison, made anew without a line of its code: by loops over pixels and calls of blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

import teaspec

BLOCKS = {"SD3Transformer2DModel": "transformer_blocks", "WanTransformer3DModel": "blocks"}


def generate(pipeline: Any, prompt: str, seed: int, steps: int, **settings: Any) -> tuple[np.ndarray, int]:
    """Pictures with the channels last, frames first; and how often the first block ran."""
    calls = []
    blocks = getattr(pipeline.transformer, BLOCKS[type(pipeline.transformer).__name__])
    handle = blocks[0].register_forward_hook(lambda *_: calls.append(1))
    if settings:
        teaspec.enable(pipeline, **settings)
    try:
        made = pipeline(prompt, steps, torch.Generator().manual_seed(seed), output_type="np")
    finally:
        handle.remove()
        if settings:
            teaspec.disable(pipeline)
    return np.asarray(made.images if hasattr(made, "images") else made.frames[0], np.float64), len(calls)


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    error = float(((one - two) ** 2).sum() / one.size)
    return math.inf if error == 0 else -10 * math.log(error) / math.log(10)


def ssim(one: np.ndarray, two: np.ndarray) -> float:
    """Window by window, as Wang et al. write it down."""
    side = min(11, one.shape[1], one.shape[2])
    side = side if side % 2 else side - 1
    line = [math.exp(-((i - side // 2) ** 2) / (2 * 1.5**2)) for i in range(side)]
    weights = np.array([[a * b for b in line] for a in line])
    weights /= weights.sum()
    found = []
    for before, after in zip(one, two, strict=True):
        for channel in range(before.shape[-1]):
            for y in range(before.shape[0] - side + 1):
                for x in range(before.shape[1] - side + 1):
                    a, b = (image[y : y + side, x : x + side, channel] for image in (before, after))
                    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
                    var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
                    both = (weights * (a - mean_a) * (b - mean_b)).sum()
                    found.append(
                        (2 * mean_a * mean_b + 1e-4)
                        * (2 * both + 9e-4)
                        / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
                    )
    return sum(found) / len(found)
