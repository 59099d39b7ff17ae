"""Point 10: closures, `super()` and globals of the model's module mean what they meant."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import DualModel, SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
SCALE = 2.0
CacheContext = [0.5]
Finished = {"value": 3.0}


def run_blocks(x: torch.Tensor) -> torch.Tensor:
    """A global that has the name of something generated."""
    return x + SCALE


def _private(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class Globals(SingleModel):
    """Globals of the module, some with names that generated code uses; builtins; attributes of the class."""

    RATIO = 0.25

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = _private(self.x_embedder(hidden_states)) * SCALE
        for block in self.transformer_blocks:
            hidden_states = run_blocks(block(hidden_states, temb)) * CacheContext[0]
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * self.RATIO, Finished["value"], __name__, max(1, 2), Globals.RATIO


class Preparing(SingleModel):
    """A base class with a method that a subclass extends."""

    def prepare(self, hidden_states):
        return hidden_states * 2

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.prepare(self.x_embedder(hidden_states))
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class Super(Preparing):
    """`super()` and `__class__` in `forward`, in the prelude, in the loop and in the postlude."""

    def prepare(self, hidden_states):
        return hidden_states * 100

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = super().prepare(self.x_embedder(hidden_states))
        for block in self.transformer_blocks:
            hidden_states = super().prepare(block(hidden_states, temb))
        hidden_states = self.norm_out(hidden_states, temb)
        name = __class__.__name__
        return super(Super, self).prepare(self.proj_out(hidden_states)), name


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class SuperBelow(Super):
    """A subclass: `super()` in the inherited forward still means the class that holds it."""

    def prepare(self, hidden_states):
        return hidden_states * -7


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class Inherited(Preparing):
    """The forward is inherited, a method it calls is not."""

    def prepare(self, hidden_states):
        return super().prepare(hidden_states) + 1


@TOYS.good(lambda draw: [draw.single()], carried=None, may_refuse=True, attention=None)
class SuperForward(Preparing):
    """The loops stand in the forward of the base class, which this one wraps."""

    def forward(self, hidden_states, timestep):
        return super().forward(hidden_states, timestep) * 2


def make_closed(factor: float, offsets: list[float]) -> type[nn.Module]:
    """A class made by a function: its forward reads the function's locals."""

    def shifted(x):
        return x + offsets[0]

    class Closed(SingleModel):
        def forward(self, hidden_states, timestep):
            temb = self.time_embed(timestep)
            hidden_states = shifted(self.x_embedder(hidden_states)) * factor
            for block in self.transformer_blocks:
                hidden_states = shifted(block(hidden_states, temb))
            hidden_states = self.norm_out(hidden_states, temb)
            return self.proj_out(hidden_states) * factor

    return Closed


OFFSETS = [0.5]
Closed = TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())(make_closed(3.0, OFFSETS))


class Helping:
    """A mixin."""

    def _embed(self, hidden_states, timestep):
        return self.x_embedder(hidden_states), timestep * 2

    @property
    def depth(self):
        return len(self.transformer_blocks)

    @staticmethod
    def halve(x):
        return x / 2

    @classmethod
    def title(cls):
        return cls.__name__


@TOYS.good(lambda draw: [draw.single()], carried=None)
class Mixed(Helping, SingleModel):
    """Helper methods, a property, a static and a class method."""

    def forward(self, hidden_states, timestep):
        hidden_states, timestep = self._embed(hidden_states, timestep)
        temb = self.time_embed(timestep)
        for block in self.transformer_blocks:
            hidden_states = self.halve(block(hidden_states, temb)) * self.depth
        hidden_states = self.norm_out(hidden_states, temb)
        return Mixed.halve(self.proj_out(hidden_states)), self.title(), type(self).__qualname__


class OtherBlock(SingleBlock):
    """A block whose forward is inherited from another file."""


@TOYS.good(
    lambda draw: [draw.dual()],
    spec={"style": "dual"},
    reused=SINGLE,
    with_blocks=("context_embedder",),
)
class BlocksElsewhere(DualModel):
    """The block class stands in another file, whose globals it needs; the second loop is no loop of the spec's."""

    def __init__(self):
        super().__init__()
        self.single_transformer_blocks = nn.ModuleList([OtherBlock()])

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        for block in self.transformer_blocks:
            encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class CalledOnItsOwnSide(SingleModel):
    """A nested function reads the stream, which the blocks bind again; but only the prelude calls it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)

        def centred(x):
            return x - hidden_states.mean(dim=1, keepdim=True)

        hidden_states = centred(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
