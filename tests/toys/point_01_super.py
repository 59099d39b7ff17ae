"""Point 1: forwards that go on in the forward of a base class."""

from __future__ import annotations

import torch
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


@TOYS.good(lambda draw: [draw.single(), draw.single(factor=2.0)], reused=SINGLE)
class AndBehindOfAnotherFile(BoundCall):
    """The same, and something behind it, where the statements of the base class would mean something else."""

    def forward(self, hidden_states, timestep, factor=1.0):
        size = hidden_states.shape[1]
        hidden_states = hidden_states * factor
        output = super().forward(hidden_states, timestep)
        hidden_states = output[:, :size]
        if factor == 2.0:
            return (hidden_states,)
        return hidden_states * 0.5


@TOYS.good(lambda draw: [draw.single(), draw.single(factor=0.0)])
class EndingBefore(BoundCall):
    """A call that ends before it goes on in the base class does not come behind it, either."""

    def forward(self, hidden_states, timestep, factor=1.0):
        if factor == 0.0:
            return hidden_states
        output = super().forward(hidden_states, timestep)
        return output * factor * 0.5


class Decorated(SingleModel):
    @torch.no_grad()
    def forward(self, hidden_states, timestep):
        if timestep.shape[0] == 1:
            return hidden_states[..., :3]
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()])
class BehindDecorated(Decorated):
    """The base class's forward has decorators of its own, and may end before its blocks."""

    def forward(self, hidden_states, timestep):
        output = super().forward(hidden_states, timestep)
        return output * 0.5


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class TakenApart(BoundCall):
    """What the base class gives is taken apart."""

    def forward(self, hidden_states, timestep):
        first, *others = super().forward(hidden_states, timestep)
        return (first, *others)


@TOYS.refused("loop-in-unknown-place", marker="refused: may be unbound")
class UnboundBehind(BoundCall):
    """What is read behind it may be unbound, and then it is this forward's own error."""

    def forward(self, hidden_states, timestep, factor=None):
        if factor is not None:
            scale = factor
        output = super().forward(hidden_states, timestep)  # refused: may be unbound
        return output * scale


@TOYS.refused("loop-in-unknown-place", marker="refused: a function holds on to it")
class HeldByAFunction(BoundCall):
    """A function of before would see what is bound behind."""

    def forward(self, hidden_states, timestep):
        scale = 0.5

        def scaled(value):
            return value * scale

        output = super().forward(hidden_states, timestep)  # refused: a function holds on to it
        scale = 2.0
        return scaled(output)


@TOYS.refused("state-of-blocks", marker="refused: left by a block")
class ReadingABlock(BoundCall):
    """Behind it stands what a block has left on itself."""

    def forward(self, hidden_states, timestep):
        output = super().forward(hidden_states, timestep)
        return output * self.transformer_blocks[0].last  # refused: left by a block


class InPlace(SingleModel):
    @torch.no_grad()  # which keeps it from being written out
    def forward(self, hidden_states, timestep, seen):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            seen.append(hidden_states)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.refused("stale-value", marker="refused: filled by the blocks")
class ReadingWhatBlocksFill(InPlace):
    """The blocks fill what they are handed: on a reused step it stays empty."""

    def forward(self, hidden_states, timestep):
        seen = []
        output = super().forward(hidden_states, timestep, seen)
        return output + seen[0].mean()  # refused: filled by the blocks


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
