"""Point 7: the modulated input, followed from the norm to the first attention."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import Attention, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
EMBEDS = ("norm_out", "proj_out", "time_embed")


class BlockModel(SingleModel):
    """A one-stream model; subclasses say which block they are about."""

    block: type[nn.Module]

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([self.block() for _ in range(2)])

    def forward(self, hidden_states, timestep, index=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb, index)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class ManualBlock(nn.Module):
    """A block whose norm has no modulation of its own."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(8, elementwise_affine=False)
        self.attn = Attention()
        self.modulation = nn.Linear(8, 24)


def _plain(*more: str) -> tuple[str, ...]:
    return (*EMBEDS, "transformer_blocks.0.modulation", "transformer_blocks.0.norm1", "x_embedder", *more)


class ScaleShiftBlock(ManualBlock):
    """Norm, scale and shift in one expression, in one branch or the other (Wan)."""

    def forward(self, hidden_states, temb, index=None):
        if index is not None:
            shift, scale, gate = self.modulation(temb)[:, None].chunk(3, dim=2)
            gate = gate * index
        else:
            shift, scale, gate = self.modulation(temb).unsqueeze(1).chunk(3, dim=-1)
            shift = shift * 2
        norm_hidden_states = (self.norm1(hidden_states.float()) * (1 + scale) + shift).type_as(hidden_states)
        attn_output = self.attn(norm_hidden_states)
        return hidden_states + attn_output * gate


@TOYS.good(lambda draw: [draw.single(), draw.single(index=3)], reused=_plain(), with_blocks=())
class ScaleShift(BlockModel):
    """Norm, scale and shift in one expression (Wan)."""

    block = ScaleShiftBlock


class StepwiseBlock(ManualBlock):
    """Norm first, its modulation statements later, with others between (LTX)."""

    def forward(self, hidden_states, temb, index=None):
        batch_size = hidden_states.size(0)
        norm_hidden_states = self.norm1(hidden_states)
        ada_values = self.modulation(temb).reshape(batch_size, 1, 3, -1)
        shift, scale, gate = ada_values.unbind(dim=2)
        unused = hidden_states.mean()
        norm_hidden_states = norm_hidden_states * (1 + scale)
        norm_hidden_states = norm_hidden_states + shift
        attention = self.attn(hidden_states=norm_hidden_states, encoder_hidden_states=None)
        return hidden_states + attention * gate + unused


@TOYS.good(lambda draw: [draw.single()], reused=_plain(), with_blocks=())
class Stepwise(BlockModel):
    """Norm first, its modulation later (LTX)."""

    block = StepwiseBlock


class InPlaceBlock(ManualBlock):
    """The modulation changes the normed tensor, which is nobody else's, in place."""

    def forward(self, hidden_states, temb, index=None):
        shift, scale, gate = self.modulation(temb)[:, None].chunk(3, dim=-1)
        normed = self.norm1(hidden_states) * (1 + scale)
        normed += shift
        return hidden_states + self.attn(normed) * gate


@TOYS.good(lambda draw: [draw.single()], reused=_plain(), with_blocks=(), may_refuse=True)
class InPlace(BlockModel):
    """The modulation changes the normed tensor, which is nobody else's, in place."""

    block = InPlaceBlock


class SometimesBlock(ManualBlock):
    """The attention receives the stream normed or as it is."""

    def forward(self, hidden_states, temb, index=None):
        normed = hidden_states
        if index is not None:
            normed = self.norm1(hidden_states)
        return hidden_states + self.attn(normed) * temb[:, None]


@TOYS.good(lambda draw: [draw.single(), draw.single(index=1)], may_refuse=True)
class NormSometimes(BlockModel):
    """The attention receives the stream normed or as it is."""

    block = SometimesBlock


class ModulateBlock(ManualBlock):
    """A helper method modulates, in two ways (Qwen-Image)."""

    def _modulate(self, x, params, index=None):
        shift, scale, gate = params[:, None].chunk(3, dim=-1)
        if index is not None:
            keep = torch.arange(x.shape[1]) < index
            scale = torch.where(keep[None, :, None], scale, -scale)
        return x * (1 + scale) + shift, gate

    def forward(self, hidden_states, temb, index=None):
        params = self.modulation(temb)
        normed = self.norm1(hidden_states)
        modulated, gate = self._modulate(normed, params, index)
        return hidden_states + gate * self.attn(hidden_states=modulated)


@TOYS.good(lambda draw: [draw.single(), draw.single(index=1)], reused=_plain(), with_blocks=())
class Modulate(BlockModel):
    """A helper method modulates, in two ways (Qwen-Image)."""

    block = ModulateBlock


def modulate(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Scale and shift as a function of the module."""
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class FunctionBlock(ManualBlock):
    """A function of the module modulates, in the very call of the attention."""

    def forward(self, hidden_states, temb, index=None):
        shift, scale, gate = self.modulation(temb).chunk(3, dim=-1)
        attention = self.attn(modulate(self.norm1(hidden_states), shift, scale))
        return hidden_states + gate[:, None] * attention


@TOYS.good(lambda draw: [draw.single()], reused=_plain(), with_blocks=())
class ModulatedByFunction(BlockModel):
    """Everything stands in the call of the attention (DiT, HunyuanDiT)."""

    block = FunctionBlock


class KindsBlock(ManualBlock):
    """The kind of norm is an attribute of the block; the norm is called in more branches than one."""

    def __init__(self):
        super().__init__()
        self.norm_type = "ada_norm_single"

    def forward(self, hidden_states, temb, index=None):
        if self.norm_type == "ada_norm":
            norm_hidden_states = self.norm1(hidden_states, temb)
        elif self.norm_type == "ada_norm_single":
            shift, scale, gate = self.modulation(temb)[:, None].chunk(3, dim=-1)
            norm_hidden_states = self.norm1(hidden_states)
            norm_hidden_states = norm_hidden_states * (1 + scale) + shift
        elif self.norm_type == "layer_norm":
            norm_hidden_states = self.norm1(hidden_states)
        else:
            raise ValueError("Incorrect norm used")
        if index is not None:
            norm_hidden_states = norm_hidden_states + index
        attn_output = self.attn(norm_hidden_states)
        if self.norm_type == "ada_norm_single":
            attn_output = gate * attn_output
        return hidden_states + attn_output


@TOYS.good(lambda draw: [draw.single(), draw.single(index=2.0)], reused=_plain(), with_blocks=())
class NormKinds(BlockModel):
    """The norm is called in several branches, the last of which raises (PixArt, Latte)."""

    block = KindsBlock


class MutatedLaterBlock(ManualBlock):
    """The block changes its input in place, but only behind the first attention."""

    def forward(self, hidden_states, temb, index=None):
        shift, scale, gate = self.modulation(temb)[:, None].chunk(3, dim=-1)
        attention = self.attn(self.norm1(hidden_states) * (1 + scale) + shift)
        hidden_states = hidden_states.clone()
        hidden_states += gate * attention
        return hidden_states


@TOYS.good(lambda draw: [draw.single()], reused=_plain(), with_blocks=())
class ChangesBehindAttention(BlockModel):
    """Effects behind the first attention are none of the slice's business."""

    block = MutatedLaterBlock
