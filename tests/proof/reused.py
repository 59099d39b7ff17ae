"""Models whose reused steps are special, and a hook whose reused steps are wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from teaspec.runtime.step import stepping
from tests.proof.small import Output, SmallTransformer


class Samples(SmallTransformer):
    """What enters behind a block is an argument."""

    def forward(self, hidden_states, encoder_hidden_states, timestep, scale=None, options=None, return_dict=True):
        hidden_states = self.patch(hidden_states)
        temb = self.embed(timestep[:, None].float()).to(hidden_states.dtype)
        encoder_hidden_states = self.text_in(encoder_hidden_states)
        for block in self.blocks:
            encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
            hidden_states = hidden_states + scale
        output = self.proj_out(self.norm_out(hidden_states) + temb[:, None])
        return Output(output) if return_dict else (output,)


class Timeless(SmallTransformer):
    """The output head does not read the timestep."""

    def forward(self, hidden_states, encoder_hidden_states, timestep, scale=None, options=None, return_dict=True):
        hidden_states = self.patch(hidden_states)
        temb = self.embed(timestep[:, None].float()).to(hidden_states.dtype)
        encoder_hidden_states = self.text_in(encoder_hidden_states)
        for block in self.blocks:
            encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
        output = self.proj_out(self.norm_out(hidden_states))
        return Output(output) if return_dict else (output,)


class Token(SmallTransformer):
    """The output head reads a token that enters as a parameter, and is blind to all else."""

    def __init__(self, width: int = 8, layers: int = 2) -> None:
        super().__init__(width, layers)
        self.token = nn.Parameter(torch.randn(1, 1, width))

    def forward(self, hidden_states, encoder_hidden_states, timestep, scale=None, options=None, return_dict=True):
        hidden_states = self.patch(hidden_states)
        hidden_states = torch.cat([hidden_states, self.token.expand(len(hidden_states), -1, -1)], dim=1)
        temb = self.embed(timestep[:, None].float()).to(hidden_states.dtype)
        encoder_hidden_states = self.text_in(encoder_hidden_states)
        for block in self.blocks:
            encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
        output = self.proj_out(self.norm_out(hidden_states[:, -1:]))
        return Output(output) if return_dict else (output,)


class Twice(SmallTransformer):
    """Which blocks run depends on the values."""

    def forward(self, hidden_states, encoder_hidden_states, timestep, scale=None, options=None, return_dict=True):
        hidden_states = self.patch(hidden_states)
        temb = self.embed(timestep[:, None].float()).to(hidden_states.dtype)
        encoder_hidden_states = self.text_in(encoder_hidden_states)
        again = bool(timestep[0] > 0.5)
        for block in self.blocks:
            encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
            if again:
                encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
        output = self.proj_out(self.norm_out(hidden_states) + temb[:, None])
        return Output(output) if return_dict else (output,)


class Noting(SmallTransformer):
    """Its blocks write into an argument of the caller."""

    def __init__(self, width: int = 8, layers: int = 2) -> None:
        super().__init__(width, layers)
        self.blocks = nn.ModuleList(NotingBlock(width) for _ in range(layers))

    def forward(self, hidden_states, encoder_hidden_states, timestep, scale=None, options=None, return_dict=True):
        hidden_states = self.patch(hidden_states)
        temb = self.embed(timestep[:, None].float()).to(hidden_states.dtype)
        for block in self.blocks:
            hidden_states = block(hidden_states, temb, options)
        output = self.proj_out(self.norm_out(hidden_states) + temb[:, None])
        return Output(output) if return_dict else (output,)


class NotingBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.Linear(width, width)

    def forward(self, hidden_states, temb, options=None):
        hidden_states = hidden_states + self.attn(self.norm1(hidden_states) + temb[:, None])
        if options is not None:
            options["kept"] = hidden_states
        return hidden_states


class Leaving(SmallTransformer):
    """Its blocks change an attribute of their own, which nobody else reads."""

    def __init__(self, width: int = 8, layers: int = 2) -> None:
        super().__init__(width, layers)
        self.blocks = nn.ModuleList(LeavingBlock(width) for _ in range(layers))

    def forward(self, hidden_states, encoder_hidden_states, timestep, scale=None, options=None, return_dict=True):
        hidden_states = self.patch(hidden_states)
        temb = self.embed(timestep[:, None].float()).to(hidden_states.dtype)
        for block in self.blocks:
            hidden_states = block(hidden_states, temb)
        output = self.proj_out(self.norm_out(hidden_states) + temb[:, None])
        return Output(output) if return_dict else (output,)


class LeavingBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.Linear(width, width)

    def forward(self, hidden_states, temb):
        hidden_states = hidden_states + self.attn(self.norm1(hidden_states) + temb[:, None])
        self.last = hidden_states
        return hidden_states


def verbatim() -> Callable[..., Any]:
    """Reused steps that return what the last computed step returned."""
    returned: dict[int, Any] = {}
    compute = stepping.compute

    def remember(context: Any, *args: Any) -> Any:
        outcome = compute(context, *args)
        returned[0] = outcome.output
        return outcome

    def repeat(context: Any, state: Any, *args: Any) -> Any:
        return stepping.Outcome(returned[0], {}, {})

    return lambda patch: (patch.setattr(stepping, "compute", remember), patch.setattr(stepping, "reuse", repeat))


def of_an_earlier_call() -> Callable[..., Any]:
    """Reused steps whose streams are right, and whose postlude gets everything else from the last computed step."""
    earlier: dict[int, Any] = {}
    compute, reuse = stepping.compute, stepping.reuse

    def remember(context: Any, *args: Any) -> Any:
        earlier[0] = context.postprocess
        return compute(context, *args)

    def mixed(context: Any, *args: Any) -> Any:
        context.postprocess = earlier[0]
        return reuse(context, *args)

    return lambda patch: (patch.setattr(stepping, "compute", remember), patch.setattr(stepping, "reuse", mixed))


def entry_of_an_earlier_call() -> Callable[..., Any]:
    """Reused steps whose streams are those of the last computed step."""

    def still(stream: Any, stored: Any, state: Any, split: Any, ratio: float) -> Any:
        return values[stream.key]

    from teaspec.runtime.step import residuals

    values: dict[str, Any] = {}
    finish = residuals._finish

    def remember(context: Any, streams: Any, found: Any) -> Any:
        values.update({stream.key: value for stream, value in zip(streams, found, strict=False)})
        return finish(context, streams, found)

    return lambda patch: (patch.setattr(residuals, "_reused", still), patch.setattr(residuals, "_finish", remember))


@contextmanager
def changed(fault: Callable[[], Callable[..., Any]], patch: Any) -> Iterator[None]:
    """Has reused steps of all hooks be wrong."""
    with patch.context() as within:
        fault()(within)
        yield
