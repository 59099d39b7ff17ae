"""Point 8: decorators of `forward` hold for the whole call."""

from __future__ import annotations

import functools
from contextlib import contextmanager

import torch

from tests.toys.parts import DualModel, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
EXPECTED = {"reused": SINGLE, "with_blocks": ()}
EVENTS: list[str] = []


def counted(function):
    """Writes down when the call is entered and left."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        EVENTS.append("enter")
        try:
            return function(*args, **kwargs)
        finally:
            EVENTS.append("leave")

    return wrapper


@contextmanager
def counting():
    """The same as a context manager, which is a decorator too."""
    EVENTS.append("enter")
    try:
        yield
    finally:
        EVENTS.append("leave")


def popping(name):
    """Takes `scale` out of a copy of a dictionary argument, as diffusers' decorator for LoRA does."""

    def decorator(function):
        @functools.wraps(function)
        def wrapper(self, *args, **kwargs):
            given = kwargs.get(name)
            if given is not None:
                given = given.copy()
                kwargs[name] = given
                self.lora_scale = given.pop("scale", 1.0)
            try:
                return function(self, *args, **kwargs)
            finally:
                self.lora_scale = 1.0

        return wrapper

    return decorator


def doubled(function):
    """Changes what the call returns."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs) * 2

    return wrapper


def in_tuple(function):
    """Changes what the call returns, and what it is given."""

    @functools.wraps(function)
    def wrapper(self, hidden_states, timestep, **kwargs):
        return (function(self, hidden_states + 1, timestep=timestep, **kwargs), "decorated")

    return wrapper


class Decorated(SingleModel):
    """The submodules; the forwards below differ in their decorators."""

    def __init__(self):
        super().__init__()
        self.lora_scale = 1.0

    def check(self, hidden_states):
        """Raises in the prelude, in the blocks or in the postlude."""
        if hidden_states.shape[1] == 7:
            raise ValueError("seven tokens")


def _seven(draw):
    return [draw.single(hidden_states=draw.tensor(draw.batch, 7, 4))]


@TOYS.good(lambda draw: [draw.single()], raising=_seven, **EXPECTED)
class Counted(Decorated):
    """Entered once, left once, also on an exception."""

    @counted
    def forward(self, hidden_states, timestep):
        self.check(hidden_states)
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], raising_in_blocks=_seven, **EXPECTED)
class CountedTwice(Decorated):
    """Two decorators, one of them a context manager; the exception comes from the blocks."""

    @counted
    @counting()
    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            if hidden_states.shape[1] == 7:
                raise ValueError("seven tokens")
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], raising=_seven, **EXPECTED)
class NoGrad(Decorated):
    """`torch.no_grad` as a decorator; the exception comes from the postlude."""

    @torch.no_grad()
    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        self.check(hidden_states)
        return self.proj_out(hidden_states)


@TOYS.good(
    lambda draw: [draw.single(), draw.single(attention_kwargs={"scale": 0.5, "other": 1})], direct=False, **EXPECTED
)
class Popping(Decorated):
    """The decorator changes an argument for the call, and an attribute of the model while it lasts."""

    @popping("attention_kwargs")
    def forward(self, hidden_states, timestep, attention_kwargs=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        attention_kwargs = attention_kwargs or {}
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * self.lora_scale + attention_kwargs.get("other", 0)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * self.lora_scale, sorted(attention_kwargs)


@TOYS.good(lambda draw: [draw.single()], direct=False, **EXPECTED)
class ChangesResult(Decorated):
    """Decorators that change arguments and result."""

    @in_tuple
    @doubled
    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], direct=False, carried=None, attention=None)
class Autocast(Decorated):
    """`torch.autocast` as a decorator."""

    @torch.autocast("cpu", dtype=torch.bfloat16)
    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


def once(function):
    """A decorator without `functools.wraps`."""

    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@TOYS.good(lambda draw: [draw.single()], may_refuse=True)
class Unwrapped(Decorated):
    """The function behind the decorator cannot be seen."""

    @once
    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


def twice(function):
    """Calls the function again: the step cannot be cut."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        function(*args, **kwargs)
        return function(*args, **kwargs)

    return wrapper


@TOYS.good(lambda draw: [draw.single()], may_refuse=True, reused=None, attention=None, carried=None)
class CalledTwice(Decorated):
    """The decorator calls `forward` twice; the model counts."""

    @twice
    def forward(self, hidden_states, timestep):
        self.lora_scale += 1
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * self.lora_scale


@TOYS.good(
    lambda draw: [draw.dual()],
    spec={"more": "forward: _inner"},
    may_refuse=True,
    carried=None,
    direct=False,
)
class DecoratedDispatch(DualModel):
    """Both the dispatching forward and the method that holds the loops are decorated."""

    @in_tuple
    def forward(self, hidden_states, timestep, encoder_hidden_states):
        return self._inner(hidden_states, timestep, text=encoder_hidden_states)

    @counted
    def _inner(self, hidden_states, timestep, text):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        text = self.context_embedder(text)
        for block in self.transformer_blocks:
            text, hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
