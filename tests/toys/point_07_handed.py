"""Point 7: the first attention is handed to a function that calls it."""

from __future__ import annotations

from torch import nn

from tests.toys.parts import WIDTH, AdaNorm, Attention, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()


def called(module, *args):
    return module(*args)


class HandedBlock(nn.Module):
    """Its attention is optional, and a function calls whatever comes first (DreamLite's chunked feed-forward)."""

    def __init__(self, use_attention):
        super().__init__()
        self.use_attention = use_attention
        self.norm1 = AdaNorm()
        self.attn = Attention() if use_attention else None
        self.ff = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden_states, temb):
        normed, gate = self.norm1(hidden_states, emb=temb)
        if self.use_attention:
            hidden_states = hidden_states + gate * called(self.attn, normed)
        else:
            hidden_states = normed * 2
        return hidden_states + called(self.ff, hidden_states)


class Handed(SingleModel):
    """The submodules and the forward of both toys."""

    def __init__(self, use_attention):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([HandedBlock(use_attention) for _ in range(2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()])
class HandedAttention(Handed):
    """The attention is what is handed over."""

    def __init__(self):
        super().__init__(use_attention=True)


@TOYS.good(lambda draw: [draw.single()], attention="transformer_blocks.0.ff")
class HandedFeedForward(Handed):
    """Without the attention it is the feed-forward."""

    def __init__(self):
        super().__init__(use_attention=False)
