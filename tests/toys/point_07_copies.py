"""Point 7: the slice of the modulated input may fill and empty the forward's own containers: it has copies."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import WIDTH, SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class PopsInLoop(SingleModel):
    """A statement of the loop body pops the value that the block is called with."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        weights = [1.0, 2.0]
        for block in self.transformer_blocks:
            weight = weights.pop()
            hidden_states = block(hidden_states * weight, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single(), draw.single(scales=[0.5, 1.5])], reused=SINGLE)
class FillsKwargs(SingleModel):
    """The keyword arguments of the blocks are completed in the loop (CausVid)."""

    def forward(self, hidden_states, timestep, scales=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        kwargs = dict(temb=temb)
        for index, block in enumerate(self.transformer_blocks):
            if scales is not None:
                kwargs.update({"temb": temb * scales[index]})
            hidden_states = block(hidden_states, **kwargs)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class SkipsBetween(SingleModel):
    """Long skips joined between the blocks, and a check that none is left."""

    def __init__(self):
        super().__init__()
        self.depth = 4
        self.transformer_blocks = nn.ModuleList([SingleBlock() for _ in range(self.depth)])
        self.skip_projs = nn.ModuleList([nn.Linear(2 * WIDTH, WIDTH) for _ in range(self.depth // 2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        skips = []
        for index, block in enumerate(self.transformer_blocks):
            layer = index + 1
            is_first_half = layer <= self.depth // 2
            if is_first_half:
                skips.append(hidden_states)
            else:
                skip = skips.pop()
                hidden_states = torch.cat((hidden_states, skip), dim=-1)
                hidden_states = self.skip_projs[layer - self.depth // 2 - 1](hidden_states)
            hidden_states = block(hidden_states, temb)
        assert len(skips) == 0
        return self.proj_out(self.norm_out(hidden_states, temb))
