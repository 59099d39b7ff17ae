"""Point 7: what the first block has not decides which way to its attention goes."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import WIDTH, SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


class SkipBlock(SingleBlock):
    """Takes what an earlier block made, where it has a projection for it."""

    def __init__(self, skip: bool) -> None:
        super().__init__()
        self.skip_linear = nn.Linear(2 * WIDTH, WIDTH) if skip else None

    def forward(self, hidden_states, temb, skip=None):
        if self.skip_linear is not None:
            hidden_states = self.skip_linear(torch.cat([hidden_states, skip], dim=-1))
        norm_hidden_states, gate = self.norm1(hidden_states, emb=temb)
        hidden_states = hidden_states + gate * self.attn(norm_hidden_states)
        return hidden_states + self.ff(hidden_states)


class SkipModel(SingleModel):
    """A U of blocks: the last ones take what the first ones made."""

    block: type[SkipBlock]

    def __init__(self) -> None:
        super().__init__()
        self.depth = 4
        self.transformer_blocks = nn.ModuleList([self.block(layer > 1) for layer in range(self.depth)])

    def forward(self, hidden_states, timestep):
        hidden_states = self.x_embedder(hidden_states)
        temb = self.time_embed(timestep)
        skips = []
        for layer, block in enumerate(self.transformer_blocks):
            if layer >= self.depth // 2:
                skip = skips.pop()
                hidden_states = block(hidden_states, temb, skip=skip)
            else:
                hidden_states = block(hidden_states, temb)
                skips.append(hidden_states)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class SkipConnections(SkipModel):
    """Whether a block takes a skip is asked of its number and of the model; the first one has no place for it."""

    block = SkipBlock


class SetSkipBlock(SkipBlock):
    """Somebody may give it the projection later on."""

    def add_skip(self):
        self.skip_linear = nn.Linear(2 * WIDTH, WIDTH)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class SkipAddedLater(SkipModel):
    """What a method binds is not absent for good, so the first block might pop from the list: from a copy of it."""

    block = SetSkipBlock
