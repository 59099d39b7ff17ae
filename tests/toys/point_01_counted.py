"""Point 1: loops that count, or take the list in another order, in parts, in steps."""

from __future__ import annotations

from torch import nn

from tests.toys.parts import SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class ListSpread(SingleModel):
    """`block(*args)` of a list."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            args = [hidden_states, temb]
            hidden_states = block(*args)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class ByIndex(SingleModel):
    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for i in range(len(self.transformer_blocks)):
            hidden_states = self.transformer_blocks[i](hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class ByDepth(SingleModel):
    depth = 2

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for i in range(self.depth):
            block = self.transformer_blocks[i]
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class StepOfTwo(SingleModel):
    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([SingleBlock() for _ in range(4)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for i in range(0, len(self.transformer_blocks), 2):
            spatial_block, temp_block = self.transformer_blocks[i : i + 2]
            hidden_states = spatial_block(hidden_states, temb)
            hidden_states = hidden_states.flip(1)
            hidden_states = temp_block(hidden_states, temb)
            hidden_states = hidden_states.flip(1)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class EverySecond(SingleModel):
    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([SingleBlock() for _ in range(4)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for a, b in zip(self.transformer_blocks[::2], self.transformer_blocks[1::2]):
            hidden_states = b(a(hidden_states, temb), temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


REVERSED = ("norm_out", "proj_out", "time_embed", "transformer_blocks.1.norm1", "x_embedder")


@TOYS.good(
    lambda draw: [draw.single()],
    spec={"norm": "transformer_blocks.1.norm1"},
    reused=REVERSED,
    attention="transformer_blocks.1.attn",
)
class Backwards(SingleModel):
    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in reversed(self.transformer_blocks):
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(
    lambda draw: [draw.single()],
    spec={"norm": "transformer_blocks.1.norm1"},
    reused=REVERSED,
    attention="transformer_blocks.1.attn",
)
class PartOfThem(SingleModel):
    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([SingleBlock() for _ in range(4)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks[1:3]:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class CountedWithOthers(SingleModel):
    """A loop over something else numbers its turns, and the blocks are looked up by that number."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        scales = [0.5, 1.5]
        for i, scale in enumerate(scales):
            hidden_states = self.transformer_blocks[i](hidden_states * scale, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class CountedFromOne(SingleModel):
    """Counts from one, and looks up what lies before."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for i in range(1, len(self.transformer_blocks) + 1):
            layer = self.transformer_blocks[i - 1]
            hidden_states = layer(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.refused("norm-outside-first-loop", marker="refused: begins somewhere")
class BeginsSomewhere(SingleModel):
    """Where the loop begins is not in the source."""

    start = 0

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for i in range(self.start, 2):  # refused: begins somewhere
            hidden_states = self.transformer_blocks[i](hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.refused("norm-outside-first-loop", marker="refused: from its end")
class BackwardsFromTheFirst(SingleModel):
    """The spec's norm is that of the last block to run."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in reversed(self.transformer_blocks):  # refused: from its end
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))
