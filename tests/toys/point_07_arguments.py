"""Point 7: the modulated input where calls spread tuples and dicts, and where only some branches bind what it needs."""

from __future__ import annotations

import torch

from tests.toys.parts import CrossModel, SingleModel
from tests.toys.point_07_modulation import BlockModel, ManualBlock, _plain
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
CROSS = {"attention": "transformer_blocks.0.attn1"}


class SpreadBlock(ManualBlock):
    """The attention is given a dict, which grows between its making and the call (AnyFlow)."""

    def forward(self, hidden_states, temb, index=None):
        shift, scale, gate = self.modulation(temb)[:, None].chunk(3, dim=2)
        norm_hidden_states = self.norm1(hidden_states) * (1 + scale) + shift
        arguments = {"image_rotary_emb": None, "hidden_states": norm_hidden_states}
        if index is not None:
            arguments["image_rotary_emb"] = torch.ones_like(norm_hidden_states) * index
        return hidden_states + gate * self.attn(**arguments)


@TOYS.good(lambda draw: [draw.single(), draw.single(index=3)], reused=_plain(), with_blocks=())
class SpreadArguments(BlockModel):
    block = SpreadBlock


class ReplacedBlock(ManualBlock):
    """What the dict holds is replaced in one branch, so the item is what counts, not the name it was made from."""

    def forward(self, hidden_states, temb, index=None):
        shift, scale, gate = self.modulation(temb)[:, None].chunk(3, dim=2)
        norm_hidden_states = self.norm1(hidden_states) * (1 + scale)
        arguments = {"hidden_states": norm_hidden_states}
        norm_hidden_states = norm_hidden_states + 1
        if index is not None:
            arguments["hidden_states"] = norm_hidden_states + shift
        return hidden_states + gate * self.attn(**arguments)


@TOYS.good(lambda draw: [draw.single(), draw.single(index=3)], reused=_plain(), with_blocks=())
class ReplacedArgument(BlockModel):
    block = ReplacedBlock


class OneBranchBlock(ManualBlock):
    """Scale and shift are bound for two kinds of embeddings, and no other kind is provided for (SkyReels-V2)."""

    def forward(self, hidden_states, temb, index=None):
        if index is None:
            shift, scale, gate = self.modulation(temb)[:, None].chunk(3, dim=2)
        elif index == 3:
            shift, scale, gate = self.modulation(temb * 2)[:, None].chunk(3, dim=2)
        norm_hidden_states = self.norm1(hidden_states) * (1 + scale) + shift
        return hidden_states + gate * self.attn(norm_hidden_states)


@TOYS.good(
    lambda draw: [draw.single(), draw.single(index=3)],
    raising_in_blocks=lambda draw: [draw.single(index=4)],
    reused=_plain(),
    with_blocks=(),
)
class BoundInBranches(BlockModel):
    block = OneBranchBlock


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=("pos_embed",))
class TupleOfArguments(SingleModel):
    """The blocks are given a tuple, made anew in each turn (SANA-WM)."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        rotary_emb = self.pos_embed(hidden_states)
        for index, block in enumerate(self.transformer_blocks):
            arguments = (hidden_states, temb, rotary_emb if index < 5 else None)
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden_states = self._gradient_checkpointing_func(block, *arguments)
            else:
                hidden_states = block(*arguments)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], with_blocks=())
class TupleBeforeRebind(SingleModel):
    """One of the names that the tuple was made from means something else when it is spread."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        arguments = (temb, self.pos_embed(hidden_states))
        temb = temb * 2
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, *arguments)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual(), draw.dual(turn=True)], reused=SINGLE, with_blocks=("context_embedder",), **CROSS)
class DictOfArguments(CrossModel):
    """The blocks are given a dict, begun in two branches and completed behind them (Wan-Animate-2)."""

    def forward(self, hidden_states, timestep, encoder_hidden_states, turn=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        text = self.context_embedder(encoder_hidden_states)
        if turn:
            arguments = {"rotary_emb": text.mean(1, keepdim=True)}
        else:
            arguments = {"rotary_emb": None}
        arguments.update(encoder_hidden_states=text, temb=temb)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, **arguments)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual(), draw.dual(turn=True)], **CROSS)
class DictBegunInBranches(CrossModel):
    """What the norm needs is in the dict from the start, and replaced in a branch."""

    def forward(self, hidden_states, timestep, encoder_hidden_states, turn=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        text = self.context_embedder(encoder_hidden_states)
        arguments = {"temb": temb, "encoder_hidden_states": text}
        if turn:
            arguments["temb"] = temb * 2
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, **arguments)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(), draw.single(scale=2.0)], later=True)
class BoundInContext(SingleModel):
    """What the block is given is bound in a `with` and in a branch: the slice takes no such name from outside.

    Red if `_function` (analysis/signal/norm_slice.py) asks for names that are unbound when the blocks begin.
    """

    def forward(self, hidden_states, timestep, scale=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            with torch.no_grad():
                condition = temb + temb
            if scale is not None:
                shift = condition * scale
            elif scale is None and timestep is None:
                hidden_states = hidden_states * shift.mean()
            hidden_states = block(hidden_states, condition)
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)
