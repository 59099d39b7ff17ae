"""Specs whose landmarks are not where they say."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import Attention, DualModel, SingleBlock, SingleModel
from tests.toys.toy import Refusal, Toys, spec_text

TOYS = Toys()


class Plain(SingleModel):
    """A model that a right spec would cut."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:  # refused: the only loop
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


def plain(code: str, model: type[nn.Module] = Plain, marker: str | None = None, **spec: str) -> None:
    """Adds a spec of `Plain` that is wrong in one key."""
    text = spec_text(f"{__name__}:{model.__name__}", **spec)
    TOYS.refused_ones.append(Refusal(model, text, code, marker))


plain("unknown-block-loop", loops="transfomer_blocks", marker="refused: the only loop")
plain("unknown-block-loop", loops="transformer_blocks, time_embed")
plain("unknown-norm-path", norm="transformer_blocks.0.norm_1")
plain("unknown-norm-path", norm="transformer_blocks.7.norm1")
plain("bad-norm-path", norm="norm_out")
plain("unknown-embed-call", embed="time_embde -> temb")
plain("embed-binds-other-name", embed="time_embed -> tmeb")
plain("unknown-head", head="norm_uot")
plain("head-before-blocks", head="x_embedder")
plain("unknown-stream", more="streams: {hidden: hiden_states}")
plain("unknown-signal", more="signal: timestep_proj")
plain("unknown-forward-method", more="forward: _forward_inference")
plain("style-mismatch", style="dual")


class NotLooped(SingleModel):
    """A list that exists, but no loop runs over it."""

    def __init__(self):
        super().__init__()
        self.unused_blocks = nn.ModuleList([SingleBlock()])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:  # refused: the only loop, not that one
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


plain("unknown-block-loop", NotLooped, loops="unused_blocks")
plain("norm-outside-first-loop", NotLooped, norm="unused_blocks.0.norm1")
plain(
    "unknown-block-loop",
    NotLooped,
    marker="refused: the only loop, not that one",
    loops="transformer_blocks, unused_blocks",
)


class TwoStreams(DualModel):
    """Two streams, two loops."""

    def forward(self, hidden_states, encoder_hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        for block in self.transformer_blocks:
            encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = torch.cat([encoder_hidden_states, hidden_states], dim=1)
        for block in self.single_transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


BOTH = "transformer_blocks, single_transformer_blocks"
plain("norm-outside-first-loop", TwoStreams, style="dual", loops=BOTH, norm="single_transformer_blocks.0.norm1")
plain("unknown-stream", TwoStreams, style="dual", loops=BOTH, more="streams: {encoder: text}")
plain("style-mismatch", TwoStreams, style="single", loops=BOTH)


class HeadBetween(DualModel):
    """The head's name is called between two loops of the spec."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.single_transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        for block in self.transformer_blocks:
            _, hidden_states = block(hidden_states, hidden_states, temb)
        return self.proj_out(hidden_states)


plain(
    "head-before-blocks",
    HeadBetween,
    loops="single_transformer_blocks, transformer_blocks",
    norm="single_transformer_blocks.0.norm1",
)


class SometimesBlock(nn.Module):
    """Norm and attention are called in one branch only."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(8)
        self.attn = Attention()

    def forward(self, hidden_states, temb):
        if temb.shape[0] > 1:  # refused: sometimes
            hidden_states = hidden_states + self.attn(self.norm1(hidden_states)) * temb[:, None]
        return hidden_states


class ReturningBlock(SometimesBlock):
    """Returns before it reaches the norm, under a condition."""

    def forward(self, hidden_states, temb):
        if temb.shape[0] > 1:
            return hidden_states  # refused: returns early
        return hidden_states + self.attn(self.norm1(hidden_states)) * temb[:, None]


class EffectBlock(nn.Module):
    """The block changes what it is given before it norms it."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(8)
        self.attn = Attention()

    def forward(self, hidden_states, temb):
        hidden_states += temb[:, None]  # refused: changes the caller's tensor
        return hidden_states + self.attn(self.norm1(hidden_states))


class RandomBlock(EffectBlock):
    """The block draws random numbers before it norms its input."""

    def forward(self, hidden_states, temb):
        noised = hidden_states + torch.randn_like(hidden_states)  # refused: draws
        return noised + temb[:, None] * self.attn(self.norm1(noised))


class CountingBlock(EffectBlock):
    """The block counts its calls before it norms its input, and the norm's input depends on the count."""

    calls = 0

    def forward(self, hidden_states, temb):
        self.calls += 1  # refused: counts
        normed = self.norm1(hidden_states * self.calls)
        return hidden_states + temb[:, None] * self.attn(normed)


class StarredBlock(EffectBlock):
    """The block takes whatever it is given."""

    def forward(self, *args, **kwargs):
        hidden_states, temb = args
        return hidden_states + temb[:, None] * self.attn(self.norm1(hidden_states))


class BlockModel(SingleModel):
    """Subclasses say which block they are about."""

    block: type[nn.Module] = SometimesBlock

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([self.block() for _ in range(2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("norm-not-always-reached", marker="refused: sometimes")
class Sometimes(BlockModel):
    """Norm and attention are called in one branch only."""

    block = SometimesBlock


@TOYS.refused("norm-not-always-reached", marker="refused: returns early")
class Returning(BlockModel):
    """The block returns before it reaches the norm, under a condition."""

    block = ReturningBlock


@TOYS.refused("norm-slice-has-effects", marker="refused: changes the caller's tensor")
class Effect(BlockModel):
    """The slice would change the entry stream."""

    block = EffectBlock


@TOYS.refused("norm-slice-has-effects", marker="refused: draws")
class Random(BlockModel):
    """The slice would draw random numbers."""

    block = RandomBlock


@TOYS.refused("norm-slice-has-effects", marker="refused: counts")
class Counting(BlockModel):
    """The slice would count."""

    block = CountingBlock


@TOYS.refused("unmappable-argument", marker="refused: starred call")
class StarredCall(SingleModel):
    """The block is called with a starred list: nobody knows which argument is which."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            inputs = [value for value in (hidden_states, temb) if value is not None]
            hidden_states = block(*inputs)  # refused: starred call
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("unmappable-argument", marker="refused: double-starred call")
class DoubleStarredCall(SingleModel):
    """The same with a dictionary."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, **{"temb": temb})  # refused: double-starred call
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("unmappable-argument")
class StarredParameters(BlockModel):
    """The block's own parameters are starred."""

    block = StarredBlock


class OtherModel(Plain):
    """Built where the spec names `Unrelated`."""


class Unrelated(SingleModel):
    """Named by a spec that is compiled for `OtherModel`."""

    forward = Plain.forward


TOYS.refused_ones.append(Refusal(OtherModel, spec_text(f"{__name__}:Unrelated"), "model-mismatch"))
_NAMESPACE: dict[str, type[nn.Module]] = {"SingleModel": SingleModel}  # type: ignore[dict-item]
exec(  # noqa: S102
    "class NoSource(SingleModel):\n    def forward(self, hidden_states, timestep):\n        return hidden_states\n",
    _NAMESPACE,
)
NoSource = _NAMESPACE["NoSource"]
NoSource.__module__ = __name__
TOYS.refused_ones.append(Refusal(NoSource, spec_text(f"{__name__}:NoSource"), "no-source"))


class StateBlock(SingleBlock):
    """Takes and returns all streams in one dict."""

    def forward(self, state):
        return {**state, "image": super().forward(state["image"], state["temb"])}


@TOYS.refused("stream-not-a-tensor", marker="refused: a dict", spec={"more": "streams: {hidden: state}"})
class StateInADict(SingleModel):
    """The stream is a dict of streams."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([StateBlock() for _ in range(2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        state = {"image": self.x_embedder(hidden_states), "temb": temb}  # refused: a dict
        for block in self.transformer_blocks:
            state = block(state)
        return self.proj_out(self.norm_out(state["image"], temb))


@TOYS.refused("unknown-block-loop", marker="refused: by name")
class NumberedBlocks(SingleModel):
    """The blocks are attributes of their own."""

    def __init__(self):
        super().__init__()
        self.block_0, self.block_1 = self.transformer_blocks
        del self.transformer_blocks

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for i in range(2):
            hidden_states = getattr(self, f"block_{i}")(hidden_states, temb)  # refused: by name
        return self.proj_out(self.norm_out(hidden_states, temb))


class Wrapped(nn.Module):
    """The model around a model: its forward holds no loop."""

    def __init__(self):
        super().__init__()
        self.model = Plain()

    def forward(self, hidden_states, timestep):
        return self.model(hidden_states, timestep) * 0.5  # refused: of the inner model


TOYS.refused(
    "unknown-block-loop",
    marker="refused: of the inner model",
    spec={
        "embed": "model.time_embed -> temb",
        "norm": "model.transformer_blocks.0.norm1",
        "loops": "model.transformer_blocks",
        "head": "model.norm_out",
    },
)(Wrapped)


class Half(nn.Module):
    """A part of a block, without a forward of its own."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(8)
        self.attn = Attention()

    def attend(self, hidden_states):
        return hidden_states + self.attn(self.norm1(hidden_states))


def mixed(hidden_states, half):
    return half.attend(hidden_states)


class HalvesBlock(nn.Module):
    """Hands its part to a function, which calls a method of it (SD3 as its authors wrote it)."""

    def __init__(self):
        super().__init__()
        self.half = Half()

    def forward(self, hidden_states, temb):
        return mixed(hidden_states + temb[:, None], self.half)  # refused: somebody else calls it


@TOYS.refused(
    "unknown-norm-path", marker="refused: somebody else calls it", spec={"norm": "transformer_blocks.0.half.norm1"}
)
class Halves(BlockModel):
    """What calls the norm is a function that is handed a part of the block."""

    block = HalvesBlock


class BoundWithin(SingleModel):
    """What enters a block has a name of its own there."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:  # refused: bound here alone
            tok = hidden_states + temb[:, None]
            hidden_states = block(tok, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


plain("unknown-stream", BoundWithin, more="streams: {hidden: tok}", marker="refused: bound here alone")


class HelperBinds(SingleModel):
    """The method that runs the blocks has a local name of the forward's, and is written out in it."""

    def run(self, hidden_states, c):
        c = self.time_embed(c)  # refused: bound to `c`, whatever it is called where it is written out
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, c)
        return hidden_states

    def forward(self, hidden_states, timestep):
        c = timestep * 2
        hidden_states = self.run(self.x_embedder(hidden_states), c)
        return self.proj_out(self.norm_out(hidden_states, c[:, None].expand(-1, hidden_states.shape[-1])))


plain(
    "embed-binds-other-name",
    HelperBinds,
    marker="refused: bound to `c`, whatever it is called where it is written out",
)


class BindsNothing(SingleModel):
    """The blocks change their stream in place, it seems; what they return is dropped."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:  # refused: binds nothing
            block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


plain("style-mismatch", BindsNothing)
