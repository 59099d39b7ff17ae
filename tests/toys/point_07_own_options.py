"""Point 7: on the way to the first attention the block takes things out of its options."""

from __future__ import annotations

from torch import nn

from tests.toys.parts import SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()


class Taking(SingleModel):
    """Hands its options to every block; each takes the gain of its norm out of them."""

    block: type[SingleBlock]

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([self.block() for _ in range(2)])

    def forward(self, hidden_states, timestep, options=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb, options=options)
        return self.proj_out(self.norm_out(hidden_states, temb))


class CopyingBlock(SingleBlock):
    def forward(self, hidden_states, temb, options=None):
        normed, gate = self.norm1(hidden_states, emb=temb)
        if options is not None and options.get("gain") is not None:
            normed = normed * options["gain"]
        options = options.copy() if options is not None else {}
        gain = options.pop("gain", None)
        if gain is not None:
            normed = normed * gain
        return hidden_states + gate * self.attn(normed, **options)


@TOYS.good(lambda draw: [draw.single(), draw.single(options={"gain": 2.0}), draw.single(options={})])
class TakesFromACopy(Taking):
    """What is taken out of a copy is still there for the caller (DreamLite's `gligen`)."""

    block = CopyingBlock


class TakingBlock(SingleBlock):
    def forward(self, hidden_states, temb, options=None):
        normed, gate = self.norm1(hidden_states, emb=temb)
        options = options if options is not None else {}
        gain = options.pop("gain", 1.0)  # refused: takes it out of the caller's
        return hidden_states + gate * self.attn(normed * gain)


@TOYS.refused("norm-slice-has-effects", marker="refused: takes it out of the caller's")
class TakesFromTheCaller(Taking):
    """The second time it would be gone."""

    block = TakingBlock


class EarlyBlock(SingleBlock):
    def forward(self, hidden_states, temb, options):
        normed, gate = self.norm1(hidden_states, emb=temb)
        gain = options.pop("gain", 1.0)  # refused: takes it before there is a copy
        options = options.copy()
        gain = gain + options.pop("more", 0.0)
        return hidden_states + gate * self.attn(normed * gain)


@TOYS.refused("norm-slice-has-effects", marker="refused: takes it before there is a copy")
class TakesTooEarly(Taking):
    """The copy comes too late."""

    block = EarlyBlock
