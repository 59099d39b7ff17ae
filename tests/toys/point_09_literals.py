"""Point 9: branches that a literal decides."""

from __future__ import annotations

from torch import nn

from tests.toys.parts import SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


class Never(SingleBlock):
    def forward(self, hidden_states, temb):
        if False:
            return hidden_states
        return super().forward(hidden_states, temb)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class LiteralFalse(SingleModel):
    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([Never() for _ in range(2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            if False:
                return hidden_states
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))
