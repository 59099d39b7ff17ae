"""Point 6: which names may share an object, and which do not."""

from __future__ import annotations

import torch

from tests.toys.parts import CrossModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
CROSS = {"attention": "transformer_blocks.0.attn1"}


def _scaled(tensor: torch.Tensor, factor: int) -> torch.Tensor:
    return tensor * factor


@TOYS.good(lambda draw: [draw.dual()], reused=SINGLE, with_blocks=("context_embedder",), **CROSS)
class ShapesAreNotShared(CrossModel):
    """The image is changed in place; of the text it knows the length only, so the text sinks (SANA-WM)."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        text = self.context_embedder(encoder_hidden_states)
        length = encoder_hidden_states.shape[1]
        hidden_states = _scaled(hidden_states, length).to(encoder_hidden_states.dtype)
        hidden_states[:, 0] = 0.0
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual(), draw.dual(of_text=True)], **CROSS)
class OneOrTheOtherChanged(CrossModel):
    """What is changed in place is a part of the image or of the text, which the text is made from."""

    def forward(self, hidden_states, timestep, encoder_hidden_states, of_text=False):
        temb = self.time_embed(timestep)
        text = self.context_embedder(encoder_hidden_states)
        chosen = {"it": (encoder_hidden_states if of_text else hidden_states)[:, :1]}["it"]
        chosen.mul_(2.0)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
