"""Images of digits as the latents of `FluxPipeline`, and back."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

SIDE = 16
"""Pixels along a side of an image."""

PATCH = 4
"""Pixels along a side of a token."""

MEAN, SPREAD = 0.3, 0.36
"""Mean and standard deviation of the pixels of real digits, where 0 is the paper and 1 the ink."""


def to_latents(images: Tensor) -> Tensor:
    """Packs images of shape (batch, 16, 16), ink in [0, 1], into latents of shape (batch, 16, 16)."""
    patches = pixel_unshuffle(((images - MEAN) / SPREAD).unsqueeze(1), PATCH)
    return patches.flatten(2).transpose(1, 2)


def to_images(latents: Tensor) -> Tensor:
    """Unpacks latents of shape (batch, 16, 16) into images of shape (batch, 16, 16), ink in [0, 1]."""
    patches = latents.transpose(1, 2).reshape(len(latents), PATCH * PATCH, SIDE // PATCH, SIDE // PATCH)
    return (pixel_shuffle(patches, PATCH).squeeze(1) * SPREAD + MEAN).clamp(0, 1)


def image_ids() -> Tensor:
    """The positions of the image tokens as `FluxPipeline` counts them, of shape (16, 3)."""
    side = torch.arange(SIDE // PATCH)
    rows, columns = torch.meshgrid(side, side, indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).reshape(-1, 3).float()
