"""Point 6: methods that change what an attribute of the model holds, without binding the attribute."""

from __future__ import annotations

from tests.toys.parts import SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


class CountingModel(SingleModel):
    """Notes its calls in a list, without a forward."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def noted(self, hidden_states):
        calls = self.calls
        calls.append(hidden_states.shape[1])
        return self.pos_embed(hidden_states)

    def is_first(self):
        self.calls.append(True)
        return len(self.calls) == 1


@TOYS.good(lambda draw: [draw.single()], reused=(*SINGLE, "pos_embed"), with_blocks=())
class NotesItsCalls(CountingModel):
    """Only the blocks read what the method returns; but it has to be called on every step."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        image_rotary_emb = self.noted(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb, image_rotary_emb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("norm-slice-has-effects", marker="asked twice")
class AsksTwice(CountingModel):
    """On the way to the norm, a method is asked that answers otherwise the second time."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            if self.is_first():  # asked twice
                temb = temb * 2
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
