"""Point 1: loops that few models write, which may be cut or refused, but never wrongly cut."""

from __future__ import annotations

from torch import nn

from tests.toys.parts import SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(
    lambda draw: [draw.single()],
    spec={"norm": "mode_blocks.image.norm1", "loops": "mode_blocks"},
    attention="mode_blocks.image.attn",
    may_refuse=True,
)
class DictValues(SingleModel):
    """A ModuleDict of blocks, walked by `items()`."""

    def __init__(self):
        super().__init__()
        del self.transformer_blocks
        self.mode_blocks = nn.ModuleDict({"image": SingleBlock(), "cond": SingleBlock()})

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for mode, block in self.mode_blocks.items():
            hidden_states = block(hidden_states, temb) * len(mode)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], may_refuse=True)
class Indexed(SingleModel):
    """The blocks are indexed, not iterated."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for i in range(len(self.transformer_blocks)):
            hidden_states = self.transformer_blocks[i](hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single(), draw.single(repeats=0)], may_refuse=True)
class Repeated(SingleModel):
    """The block loop stands in another loop, which may run no round at all."""

    def forward(self, hidden_states, timestep, repeats=2):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for _ in range(repeats):
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
            hidden_states = hidden_states * 0.5
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class Skips(SingleModel):
    """Skip connections pushed in the first half and popped in the second (HunyuanDiT)."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        skips = []
        for layer, block in enumerate(self.transformer_blocks):
            if layer >= 1:
                skip = skips.pop()
                hidden_states = block(hidden_states + skip, temb)
            else:
                hidden_states = block(hidden_states, temb)
            if layer < 1:
                skips.append(hidden_states)
        else:
            hidden_states = hidden_states + len(skips)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(
    lambda draw: [draw.single()],
    may_refuse=True,
    attention="transformer_blocks.1.attn",
    spec={"norm": "transformer_blocks.1.norm1"},
)
class Reversed(SingleModel):
    """The last block of the list runs first."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in reversed(self.transformer_blocks):
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], may_refuse=True)
class SkipsFirst(SingleModel):
    """The loop never runs block 0, whose norm the spec names."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks[1:]:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))
