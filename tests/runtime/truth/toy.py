"""A transformer whose blocks add the number of who is called, so that its output tells whose residual was used."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.cache_utils import CacheMixin
from torch import nn

from teaspec import CacheContext

WIDTH = 2


class BrokenError(Exception):
    """What a call that is cancelled from inside raises."""


class Toy(nn.Module):
    """Its blocks add `truth`, which the test sets before each call: one number for each row.

    Attributes:
        truth: Numbers of shape `[rows, 1, 1]`.
        breaks: Where the next call fails: "prelude", "postlude", or nowhere.
        computed: How often the blocks ran.
        signal: What decides: "constant", or that of the "timestep" alone.
    """

    def __init__(self, signal: str = "constant") -> None:
        super().__init__()
        self.signal = signal
        self.truth = torch.zeros(1, 1, 1)
        self.breaks: str | None = None
        self.computed = 0
        self.do_true_cfg = False
        self.eval()

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: Any,
        encoder_hidden_states: Any = None,
        guidance: Any = None,
        skip_layers: Any = None,
    ) -> torch.Tensor:
        return self.blocks(hidden_states)

    def blocks(self, hidden_states: torch.Tensor) -> torch.Tensor:
        self.computed += 1
        return hidden_states + self.truth

    def pass_by(self, place: str) -> None:
        if self.breaks == place:
            raise BrokenError(place)


class MixedToy(Toy, CacheMixin):
    """The same with diffusers' mixin, so that it has `cache_context`."""


def extract_toy(
    module: Toy,
    hidden_states: torch.Tensor,
    timestep: Any,
    encoder_hidden_states: Any = None,
    guidance: Any = None,
    skip_layers: Any = None,
) -> CacheContext:
    """Compares as little as possible, so that whatever may be reused is."""
    module.pass_by("prelude")
    level = torch.as_tensor(timestep).float().mean() if module.signal == "timestep" else torch.tensor(1.0)
    modulated = level.expand(hidden_states.shape[0], 1, WIDTH) + 1

    def run_transformer_blocks() -> tuple[torch.Tensor, ...]:
        return (module.blocks(hidden_states),)

    def postprocess(hidden: torch.Tensor) -> torch.Tensor:
        module.pass_by("postlude")
        return hidden

    return CacheContext(modulated, hidden_states, None, level.reshape(1), run_transformer_blocks, postprocess)
