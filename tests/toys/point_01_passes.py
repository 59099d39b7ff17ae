"""Point 1: block loops within a loop of a known number of passes."""

from __future__ import annotations

import torch

from tests.toys.parts import SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(lambda draw: [draw.single(), draw.single(passes=1), draw.single(passes=3)], reused=SINGLE)
class Recycled(SingleModel):
    """Each pass begins with the embedding and what the last pass made; the first binds the conditioning (RFD4)."""

    def forward(self, hidden_states, timestep, passes=2):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        previous = torch.zeros_like(hidden_states)
        for turn in range(passes):
            entering = hidden_states + previous.tanh()
            if turn == 0:
                condition = temb * passes
            for block in self.transformer_blocks:
                entering = block(entering, condition)
            previous = entering
        hidden_states = previous
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single(), draw.single(start=2), draw.single(start=3)], reused=SINGLE)
class NumberedPasses(SingleModel):
    """The number of the first pass is an argument, and there may be no pass at all."""

    def forward(self, hidden_states, timestep, start=1):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for turn in range(start, 3):
            hidden_states = hidden_states * turn
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))
