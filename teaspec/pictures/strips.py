"""Pictures side by side, in a size to look at."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad


def side_by_side(images: Tensor, gap: int, paper: float = 0.0) -> Tensor:
    """Lays images of shape (count, ..., height, width) in a row; returns (..., height, width of all).

    Args:
        images: At least one.
        gap: Pixels behind each of them.
        paper: What these are filled with.
    """
    return pad(images, (0, gap), value=paper).movedim(0, -2).flatten(-2)


def evenly(frames: Tensor, most: int) -> Tensor:
    """Returns at most so many of the frames, evenly chosen, the first and the last among them."""
    if len(frames) <= most:
        return frames
    return frames[torch.linspace(0, len(frames) - 1, most).round().long()]


def within(images: Tensor, side: int) -> Tensor:
    """Makes images of shape (count, channels, height, width) smaller where the longer side is above `side`."""
    longer = max(images.shape[-2:])
    if longer <= side:
        return images
    size = [max(1, round(length * side / longer)) for length in images.shape[-2:]]
    return interpolate(images, size, mode="area")
