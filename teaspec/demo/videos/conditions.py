"""Digits and motions that are asked for together; some pairs are kept from the training."""

from __future__ import annotations

import torch
from torch import Tensor

from teaspec.demo.videos.motions import MOTIONS


def held_out() -> Tensor:
    """Which pairs the model has never seen, booleans of shape (10, 8): two digits of each motion."""
    digits, motions = torch.meshgrid(torch.arange(10), torch.arange(len(MOTIONS)), indexing="ij")
    return (digits + 3 * motions) % 5 == 0


def asked(count: int) -> tuple[Tensor, Tensor]:
    """Digits 0, 1, ..., 9, 0, ... and their motions; 80 of them are all pairs."""
    numbers = torch.arange(count)
    return numbers % 10, (numbers + numbers // 40) % len(MOTIONS)
