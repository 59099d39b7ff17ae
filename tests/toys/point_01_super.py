"""Point 1: forwards that go on in the forward of a base class."""

from __future__ import annotations

from torch import nn

from tests.toys.parts import SingleBlock, SingleModel
from tests.toys.point_01_checkpointing import BoundCall
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


class Refined(SingleBlock):
    """A block that adds to what its base class does."""

    def __init__(self):
        super().__init__()
        self.more = nn.Linear(8, 8)

    def forward(self, hidden_states, temb):
        hidden_states = super().forward(hidden_states, temb)
        return hidden_states + self.more(hidden_states)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class BlocksWithSuper(SingleModel):
    """The norm is called in the forward of the block's base class."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([Refined() for _ in range(2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class Plain(SingleModel):
    def forward(self, hidden_states, timestep, scale=1.0):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states) * scale
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single(), draw.single(factor=2.0)], reused=SINGLE)
class HandsOn(Plain):
    """The forward of the base class holds the loop."""

    def forward(self, hidden_states, timestep, factor=1.0, **kwargs):
        hidden_states = hidden_states * factor
        return super().forward(hidden_states=hidden_states, timestep=timestep, **kwargs)


@TOYS.good(lambda draw: [draw.single(), draw.single(factor=2.0)], reused=SINGLE)
class AndBehind(Plain):
    """The same, and something behind it."""

    def forward(self, hidden_states, timestep, factor=1.0):
        output = super().forward(hidden_states * factor, timestep=timestep)
        return output * 0.5


@TOYS.good(lambda draw: [draw.single(), draw.single(factor=2.0)], reused=SINGLE)
class OfAnotherFile(BoundCall):
    """The base class stands in another file, with globals of its own."""

    def forward(self, hidden_states, timestep, factor=1.0):
        if factor == 0.0:
            return hidden_states
        return super().forward(hidden_states * factor, timestep)


@TOYS.refused("loop-in-unknown-place", marker="refused: behind another file's")
class AndBehindOfAnotherFile(BoundCall):
    """The same, and something behind it, where the statements of the base class would mean something else."""

    def forward(self, hidden_states, timestep):
        output = super().forward(hidden_states, timestep)  # refused: behind another file's
        return output * 0.5


class Twice(Refined):
    """A block of three generations."""

    def forward(self, hidden_states, temb):
        if temb is None:
            temb = hidden_states
        return super().forward(hidden_states * 0.5, temb) + hidden_states


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class BlocksWithSuperTwice(BlocksWithSuper):
    """The norm is called in the forward of the base class of the block's base class."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([Twice() for _ in range(2)])
