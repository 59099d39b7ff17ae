"""Point 7: the way from the loop to the norm, through wrappers, loop bodies and lists; and other signals."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import AdaNorm, Attention, SingleModel
from tests.toys.point_07_modulation import EMBEDS, BlockModel, ManualBlock, ScaleShiftBlock
from tests.toys.toy import Toys

TOYS = Toys()


class InnerBlock(nn.Module):
    """The block behind a wrapper; its norm returns the gate too."""

    def __init__(self):
        super().__init__()
        self.norm1_i = AdaNorm()
        self.attn1 = Attention()

    def forward(self, image, text=None, *, emb=None, scale=1.0):
        scaled = image * scale
        normed = self.norm1_i(scaled, emb)
        normed, gate = normed[0] * 2, normed[1]
        return image + gate * self.attn1(normed, text)


class WrapperBlock(nn.Module):
    """Hands everything on under other names."""

    def __init__(self):
        super().__init__()
        self.block = InnerBlock()

    def forward(self, hidden_states, encoder_hidden_states=None, temb=None):
        emb = temb * 2
        return self.block(hidden_states, text=encoder_hidden_states, emb=emb, scale=0.5)


@TOYS.good(
    lambda draw: [draw.dual()],
    spec={"norm": "double_blocks.0.block.norm1_i", "loops": "double_blocks"},
    attention="double_blocks.0.block.attn1",
    reused=("double_blocks.0.block.norm1_i", *EMBEDS, "x_embedder"),
    with_blocks=("context_embedder",),
)
class Wrapped(SingleModel):
    """The norm stands in a wrapped block; a statement of the loop body makes the text (HiDream)."""

    def __init__(self):
        super().__init__()
        self.double_blocks = nn.ModuleList([WrapperBlock() for _ in range(2)])
        self.context_embedder = nn.Linear(6, 8)
        del self.transformer_blocks

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        text = self.context_embedder(encoder_hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        block_id = 0
        for bid, block in enumerate(self.double_blocks):
            cur_text = text[:, :1] * (block_id + 1)
            cur_text = torch.cat([text, cur_text], dim=1)
            hidden_states = block(hidden_states=hidden_states, encoder_hidden_states=cur_text, temb=temb) + bid
            block_id += 1
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(), draw.single(extra=2.0)], carried=None)
class LoopBodyBefore(SingleModel):
    """Statements of the loop body rebind the stream and the embedding before the call; the index counts from 5."""

    def forward(self, hidden_states, timestep, extra=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        weights = {5: 0.5, 6: 2.0}
        for index, block in enumerate(self.transformer_blocks, start=5):
            weight = weights[index]
            if extra is not None:
                hidden_states = hidden_states * extra
            scaled = hidden_states * weight
            hidden_states = block(scaled, temb + index)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class FirstBlockOnly(ManualBlock):
    """Called with values that were drawn from lists by the loop."""

    def forward(self, hidden_states, temb, index=None):
        shift, scale, gate = self.modulation(temb + index)[:, None].chunk(3, dim=-1)
        return hidden_states + gate * self.attn(self.norm1(hidden_states) * (1 + scale) + shift)


@TOYS.good(lambda draw: [draw.single()], carried=None, may_refuse=True)
class ZippedArguments(SingleModel):
    """The loop hands each block an item of another list (Bria, controls)."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([FirstBlockOnly() for _ in range(2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        layers = [hidden_states.mean() * k for k in range(2, 4)]
        for block, layer in zip(self.transformer_blocks, layers):
            hidden_states = block(hidden_states, temb, layer)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class TupleBlock(nn.Module):
    """The norm returns five values, and is called one way or the other (SD3.5)."""

    def __init__(self):
        super().__init__()
        self.use_dual_attention = True
        self.norm1 = FiveNorm()
        self.attn = Attention()

    def forward(self, hidden_states, temb, index=None):
        if self.use_dual_attention:
            norm_hidden_states, gate, shift, scale, second = self.norm1(hidden_states, emb=temb)
        else:
            norm_hidden_states, gate, shift, scale = self.norm1(hidden_states, emb=temb)[:4]
            second = 0
        attn_output = self.attn(hidden_states=norm_hidden_states)
        return hidden_states + gate * attn_output * scale + shift + second


class FiveNorm(AdaNorm):
    """Returns a fifth value."""

    def forward(self, hidden, emb):
        normed, gate = super().forward(hidden, emb)
        return normed, gate, gate, gate, normed


@TOYS.good(
    lambda draw: [draw.single()],
    reused=(*EMBEDS, "transformer_blocks.0.norm1", "x_embedder"),
    with_blocks=(),
)
class NormTuple(BlockModel):
    """The norm returns five values, unpacked in each branch (SD3.5)."""

    block = TupleBlock


@TOYS.good(
    lambda draw: [draw.single()],
    spec={"more": "signal: temb"},
    attention=None,
    signal="time_embed",
    reused=(*EMBEDS, "x_embedder"),
    with_blocks=(),
)
class SignalTemb(BlockModel):
    """The timestep embedding decides: the norm does not run on reused steps (Wan, CogVideoX)."""

    block = ScaleShiftBlock


@TOYS.good(
    lambda draw: [draw.single()],
    spec={"more": "signal: timestep_proj"},
    attention=None,
    signal="time_proj",
    reused=(*EMBEDS, "time_proj", "x_embedder"),
    with_blocks=(),
)
class SignalName(SingleModel):
    """A named value at block entry decides; nothing else needs it before the blocks."""

    def __init__(self):
        super().__init__()
        self.time_proj = nn.Linear(8, 8)

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        timestep_proj = self.time_proj(temb)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, timestep_proj)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
