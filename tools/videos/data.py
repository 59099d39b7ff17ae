"""Videos of real digits, drawn anew for each batch: a digit and its motion."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import torch
from torch import Tensor

from teaspec.demo.videos.motions import MOTIONS, REST, affine, moved, poses
from tools.digits.data import Digits

_SHIFT, _TURN, _GROWTH = 0.1, radians(6), 0.08
"""How far the digit at rest may be from the middle, upright and its usual size, as standard deviations."""


@dataclass(frozen=True)
class Videos:
    """What videos are drawn from.

    Attributes:
        digits: The images that move.
        pairs: Which motion is shown with which digit, booleans of shape (10, 8).
    """

    digits: Digits
    pairs: Tensor

    @classmethod
    def all_pairs(cls, digits: Digits) -> Videos:
        """Every digit in every motion."""
        return cls(digits, torch.ones(10, len(MOTIONS), dtype=torch.bool))

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draws videos of shape (size, frames, 16, 16), their digits and their motions."""
        chosen = torch.randint(len(self.digits), (size,), generator=generator)
        labels = self.digits.labels[chosen]
        motions = torch.multinomial(self.pairs[labels].float(), 1, generator=generator).squeeze(1)
        right, down, turn, growth = torch.randn(4, size, generator=generator).clamp(-2, 2)
        rest = torch.diag(torch.tensor([REST, REST, 1.0]))
        around = affine(right * _SHIFT, down * _SHIFT, turn * _TURN, growth * _GROWTH) @ rest
        return moved(self.digits.images[chosen], poses(motions) @ around[:, None]), labels, motions

    def frames(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws single frames, one of each video, and their digits."""
        videos, labels, _ = self.batch(size, generator)
        return videos[torch.arange(size), torch.randint(videos.shape[1], (size,), generator=generator)], labels
