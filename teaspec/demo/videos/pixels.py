"""Videos of digits as the latents of `WanPipeline`, and back."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from teaspec.demo.digits.pixels import SIDE

PIXELS = 2
"""Pixels along a side of a latent; the transformer takes 2x2 latents for a token."""

MEAN, SPREAD = 0.13, 0.26
"""Mean and standard deviation of the pixels of real videos, where 0 is the paper and 1 the ink."""

CHANNELS = PIXELS * PIXELS
LATENT_SIDE = SIDE // PIXELS


def to_latents(videos: Tensor) -> Tensor:
    """Packs videos of shape (batch, frames, 16, 16), ink in [0, 1], into latents of shape (batch, 4, frames, 8, 8)."""
    scaled = ((videos - MEAN) / SPREAD).unsqueeze(2)
    return pixel_unshuffle(scaled, PIXELS).transpose(1, 2)


def to_videos(latents: Tensor) -> Tensor:
    """Unpacks latents of shape (batch, 4, frames, 8, 8) into videos of shape (batch, frames, 16, 16), ink in [0, 1]."""
    return (pixel_shuffle(latents.transpose(1, 2), PIXELS).squeeze(2) * SPREAD + MEAN).clamp(0, 1)
