"""Point 3: what undoes behind the loops, in a function of its own, what was done before them."""

from __future__ import annotations

import torch

from tests.toys.parts import SingleModel
from tests.toys.toy import Toys

TOYS = Toys()


def _without_memory(tokens, count):
    return tokens[:, count:]


@TOYS.good(
    lambda draw: [draw.single()],
    reused=("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder"),
    with_blocks=(),
)
class CutOffByAFunction(SingleModel):
    """A function takes away the tokens that were put before the stream: it is the postlude's business (Kandinsky 5)."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        hidden_states = torch.cat([hidden_states[:, :2] * 2, hidden_states], dim=1)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = _without_memory(hidden_states, 2)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
