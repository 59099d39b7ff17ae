"""The prompts of the digits model: embeddings for 0 to 9 and one for nothing in particular."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NOTHING = 10
"""The row that stands for no digit: what the other branch of classifier-free guidance is conditioned on."""

TOKENS, WIDTH = 2, 32


@dataclass(frozen=True)
class Prompts:
    """Embeddings by digit; row 10 is for no digit.

    Attributes:
        tokens: float32 of shape (11, 2, 32), the `prompt_embeds` of `FluxPipeline`.
        pooled: float32 of shape (11, 32), the `pooled_prompt_embeds`.
    """

    tokens: Tensor
    pooled: Tensor

    @classmethod
    def draw(cls, generator: torch.Generator) -> Prompts:
        """Draws embeddings; those for no digit are zeros, as with an empty prompt."""
        tokens = torch.randn(NOTHING + 1, TOKENS, WIDTH, generator=generator)
        pooled = torch.randn(NOTHING + 1, WIDTH, generator=generator)
        tokens[NOTHING] = pooled[NOTHING] = 0
        return cls(tokens, pooled)
