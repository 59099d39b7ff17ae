"""FLUX and Wan as wide as they are published, with random weights, and as many layers as fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, WanTransformer3DModel
from torch import nn

STEPS = 20
SHARE = 0.6
"""So much of the free memory may be weights; the rest is for activations, which all ways share, and for caches."""

Call = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A family of transformers, by how many repeated units of layers they have.

    Attributes:
        make: Builds one with so many units.
        calls: The keyword arguments of the calls of one generation.
        units: Those of the published model. One of FLUX is a block with two streams and two with one.
        blocks: Blocks in a unit.
    """

    make: Callable[[int], nn.Module]
    calls: Callable[[torch.device, torch.dtype], list[Call]]
    units: int
    blocks: int


@dataclass(frozen=True)
class Built:
    """A transformer on the device.

    Attributes:
        module: In evaluation mode, random weights.
        calls: The calls of one generation, all tensors on the device.
        blocks: How many it has.
        published: How many the published model has.
    """

    module: nn.Module
    calls: list[Call]
    blocks: int
    published: int


def build(kind: Kind, device: torch.device, dtype: torch.dtype, room: int | None) -> Built:
    """Makes a transformer.

    Args:
        kind: Of which family.
        device: Where.
        dtype: Of its weights.
        room: Bytes that its weights may take; None makes it as deep as published.
    """
    units = kind.units if room is None else min(kind.units, _units_in(kind, dtype, room))
    torch.manual_seed(0)
    with device, _defaulting_to(dtype):
        module = kind.make(units).eval()
    return Built(module, kind.calls(device, dtype), units * kind.blocks, kind.units * kind.blocks)


def _units_in(kind: Kind, dtype: torch.dtype, room: int) -> int:
    with torch.device("meta"):
        one, two = (sum(weight.numel() for weight in kind.make(units).parameters()) for units in (1, 2))
    each = (two - one) * dtype.itemsize
    return max(1, 1 + (room - one * dtype.itemsize) // each)


@contextmanager
def _defaulting_to(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _flux(heads: int, axes: tuple[int, int, int], text: int, side: int, tokens: int, units: int) -> Kind:
    def make(count: int) -> nn.Module:
        return FluxTransformer2DModel(
            num_layers=count,
            num_single_layers=2 * count,
            num_attention_heads=heads,
            attention_head_dim=sum(axes),
            joint_attention_dim=text,
            pooled_projection_dim=768,
            guidance_embeds=True,
            axes_dims_rope=axes,
        )

    def calls(device: torch.device, dtype: torch.dtype) -> list[Call]:
        places = torch.arange(float(side), device=device)
        grid = torch.meshgrid(torch.zeros(1, device=device), places, places, indexing="ij")
        latents = torch.randn(1, side**2, 64, device=device, dtype=dtype)
        shared = {
            "encoder_hidden_states": torch.randn(1, tokens, text, device=device, dtype=dtype),
            "pooled_projections": torch.randn(1, 768, device=device, dtype=dtype),
            "guidance": torch.full((1,), 3.5, device=device),
            "txt_ids": torch.zeros(tokens, 3, device=device),
            "img_ids": torch.stack(grid, dim=-1).reshape(-1, 3),
        }
        return [
            {"hidden_states": latents * (1 - 0.01 * step), "timestep": _at(step, 1.0, device, dtype), **shared}
            for step in range(STEPS)
        ]

    return Kind(make, calls, units, blocks=3)


def _wan(heads: int, width: int, feed_forward: int, text: int, video: tuple[int, int, int], units: int) -> Kind:
    def make(count: int) -> nn.Module:
        return WanTransformer3DModel(
            num_attention_heads=heads,
            attention_head_dim=width,
            ffn_dim=feed_forward,
            text_dim=text,
            num_layers=count,
        )

    def calls(device: torch.device, dtype: torch.dtype) -> list[Call]:
        latents = torch.randn(1, 16, *video, device=device, dtype=dtype)
        words = torch.randn(1, 512, text, device=device, dtype=dtype)
        return [
            {
                "hidden_states": latents * (1 - 0.01 * step),
                "timestep": _at(step, 1000.0, device, dtype),
                "encoder_hidden_states": words,
            }
            for step in range(STEPS)
        ]

    return Kind(make, calls, units, blocks=1)


def _at(step: int, scale: float, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    return torch.full((1,), scale * (1 - step / STEPS), device=device, dtype=dtype)


PUBLISHED = {
    "flux": _flux(heads=24, axes=(16, 56, 56), text=4096, side=64, tokens=512, units=19),
    "wan": _wan(heads=40, width=128, feed_forward=13824, text=4096, video=(9, 60, 104), units=40),
}
"""FLUX.1 [dev] at 1024 x 1024 pixels with 512 tokens of text; Wan 2.1 14B at 33 frames of 480 x 832. Widths and depths
are those of the published configs (black-forest-labs/FLUX.1-dev, Wan-AI/Wan2.1-T2V-14B-Diffusers)."""

TINY = {
    "flux": _flux(heads=2, axes=(4, 6, 6), text=32, side=4, tokens=8, units=2),
    "wan": _wan(heads=2, width=16, feed_forward=64, text=32, video=(1, 8, 8), units=3),
}
"""So small that the whole benchmark runs on a CPU in seconds, to show that it runs."""
