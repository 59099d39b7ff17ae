"""Point 3: a check of what the blocks left of an argument belongs to them."""

from __future__ import annotations

from tests.toys.parts import SingleModel
from tests.toys.toy import Call, Draw, Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


def _controlled(count: int, draw: Draw) -> Call:
    return draw.single(controls=[float(number) for number in range(count)])


@TOYS.good(
    lambda draw: [draw.single(), _controlled(2, draw)],
    raising_in_blocks=lambda draw: [_controlled(3, draw)],
    reused=SINGLE,
    replay=False,
    with_blocks=(),
)
class ControlsUsedUp(SingleModel):
    """The loop pops from a list of the caller's, which has to be empty behind it: on reused steps nothing pops."""

    def forward(self, hidden_states, timestep, controls=None):
        hidden_states = self.x_embedder(hidden_states)
        temb = self.time_embed(timestep)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            if controls is not None:
                hidden_states = hidden_states + controls.pop()
        if controls is not None and len(controls) != 0:
            raise ValueError("there are more controls than blocks")
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
