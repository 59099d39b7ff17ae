"""The prompts of the video model: a token for the digit and one for its motion; zeros for nothing in particular."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from teaspec.demo.videos.motions import MOTIONS

WIDTH = 32


@dataclass(frozen=True)
class Prompts:
    """Embeddings by digit and by motion.

    Attributes:
        digits: float32 of shape (10, 32).
        motions: float32 of shape (8, 32).
    """

    digits: Tensor
    motions: Tensor

    @classmethod
    def draw(cls, generator: torch.Generator) -> Prompts:
        """Draws embeddings."""
        digits = torch.randn(10, WIDTH, generator=generator)
        return cls(digits, torch.randn(len(MOTIONS), WIDTH, generator=generator))

    def embed(self, digits: Tensor, motions: Tensor) -> Tensor:
        """The `prompt_embeds` of `WanPipeline`, of shape (batch, 2, 32)."""
        return torch.stack([self.digits[digits], self.motions[motions]], dim=1)
