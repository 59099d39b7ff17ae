"""Transformers of diffusers with random weights, and the calls of one generation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, WanTransformer3DModel

STEPS = 20
HEADS, WIDTH_OF_HEAD = 6, 64
TEXT_TOKENS, TEXT_WIDTH = 64, 512

Call = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How large a model is built, along the three ways in which the hook's cost could grow.

    Attributes:
        side: Image tokens are its square; of a video there are five frames of a quarter as many.
        layers: Blocks: of FLUX a third of them with two streams, of Wan all alike.
        batch: Images or videos at once.
    """

    side: int = 24
    layers: int = 9
    batch: int = 1


def flux(size: Size) -> tuple[torch.nn.Module, list[Call]]:
    """The transformer in evaluation mode, and the keyword arguments of `STEPS` calls."""
    model = FluxTransformer2DModel(
        num_layers=size.layers // 3,
        num_single_layers=size.layers - size.layers // 3,
        attention_head_dim=WIDTH_OF_HEAD,
        num_attention_heads=HEADS,
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=256,
        axes_dims_rope=(8, 28, 28),
    )
    side = torch.arange(float(size.side))
    axes = torch.meshgrid(torch.zeros(1), side, side, indexing="ij")
    latents = torch.randn(size.batch, size.side**2, 64)
    shared = {
        "encoder_hidden_states": torch.randn(size.batch, TEXT_TOKENS, TEXT_WIDTH),
        "pooled_projections": torch.randn(size.batch, 256),
        "txt_ids": torch.zeros(TEXT_TOKENS, 3),
        "img_ids": torch.stack(axes, dim=-1).reshape(-1, 3),
    }
    return model.eval(), [
        {"hidden_states": latents * (1 - 0.01 * step), "timestep": _times(size, step), **shared}
        for step in range(STEPS)
    ]


def wan(size: Size) -> tuple[torch.nn.Module, list[Call]]:
    """Returns a Wan of that size and the arguments of each of its steps, like `flux`."""
    model = WanTransformer3DModel(
        num_attention_heads=HEADS,
        attention_head_dim=WIDTH_OF_HEAD,
        text_dim=TEXT_WIDTH,
        freq_dim=64,
        ffn_dim=4 * HEADS * WIDTH_OF_HEAD,
        num_layers=size.layers,
    )
    latents = torch.randn(size.batch, 16, 5, size.side, size.side)
    text = torch.randn(size.batch, TEXT_TOKENS, TEXT_WIDTH)
    return model.eval(), [
        {
            "hidden_states": latents * (1 - 0.01 * step),
            "timestep": 1000 * _times(size, step),
            "encoder_hidden_states": text,
        }
        for step in range(STEPS)
    ]


MODELS: dict[str, Callable[[Size], tuple[torch.nn.Module, list[Call]]]] = {"flux": flux, "wan": wan}


def _times(size: Size, step: int) -> torch.Tensor:
    return torch.full((size.batch,), 1.0 - step / STEPS)
