"""Point 6: what may sink into the blocks, and what has to stay."""

from __future__ import annotations

import warnings

import torch

from tests.toys.parts import CrossModel, SingleModel
from tests.toys.toy import Call, Draw, Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
CROSS = {"attention": "transformer_blocks.0.attn1"}


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), free=("pos_embed",))
class RopeBeforeRebind(SingleModel):
    """The rope reads the stream before it is embedded; the stream is rebound twice below (Wan)."""

    def forward(self, hidden_states, timestep):
        rotary_emb = self.pos_embed(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        hidden_states = hidden_states.contiguous() * 2
        temb = self.time_embed(timestep)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb, rotary_emb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual()], reused=SINGLE, with_blocks=("context_embedder", "pos_embed"), **CROSS)
class SinksInOrder(CrossModel):
    """Several statements sink together, one of them an `if`, and rebind one name."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        rotary_emb = self.pos_embed(hidden_states)
        if encoder_hidden_states.shape[1] > 1:
            encoder_hidden_states = encoder_hidden_states.flip(1)
            rotary_emb = rotary_emb * 2
        else:
            encoder_hidden_states = encoder_hidden_states + encoder_hidden_states.shape[0]
        encoder_hidden_states = encoder_hidden_states.contiguous()
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, encoder_hidden_states, temb, rotary_emb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class ListChangedBelow(CrossModel):
    """The text is made from a list that a kept statement changes below."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        sizes = [1.0, 2.0]
        encoder_hidden_states = self.context_embedder(encoder_hidden_states) * sum(sizes)
        sizes.append(3.0)
        hidden_states = self.x_embedder(hidden_states) * sum(sizes)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class ListChangedAbove(CrossModel):
    """A statement that only the blocks need changes a list that a kept statement reads below."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        sizes = {"text": encoder_hidden_states.shape[1], "image": 1}
        text_length = sizes.pop("text")
        hidden_states = self.x_embedder(hidden_states) * len(sizes)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)[:, :text_length]
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()])
class AliasChangedBelow(SingleModel):
    """A value that only the blocks need is read through a view of a tensor that a kept statement changes in place."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        first = hidden_states[:, 0]
        offset = first.mean()
        hidden_states[:, 0] = 0
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) + offset
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()])
class OriginalChangedBelow(SingleModel):
    """The other way round: the view is changed, the value is read from the tensor."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        view = hidden_states.transpose(1, 2)
        positions = hidden_states.mean(-1, keepdim=True)
        view.mul_(2.0)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) + positions
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


def _shift_in_place(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    pair[0].add_(1.0)


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class HelperChangesInPlace(CrossModel):
    """A helper, called for its effect, changes a tensor that hangs in a tuple."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        pair = (encoder_hidden_states, timestep)
        text = self.context_embedder(encoder_hidden_states)
        _shift_in_place(pair)
        hidden_states = self.x_embedder(hidden_states) + encoder_hidden_states.mean()
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


def _check_rank(tensor: torch.Tensor) -> None:
    if tensor.ndim != 3:
        raise ValueError(f"expected 3 dimensions, got {tensor.ndim}")


def _wrong(draw: Draw) -> list[Call]:
    return [
        draw.dual(encoder_hidden_states=draw.tensor(draw.batch + 1, 1, 6)),
        draw.dual(encoder_hidden_states=draw.tensor(draw.batch, 6)),
        draw.dual(masks=[1]),
        draw.dual(masks=[1, 2, 3], encoder_hidden_states=draw.tensor(draw.batch, 0, 6)),
    ]


@TOYS.good(
    lambda draw: [draw.dual(), draw.dual(masks=[1, 2])],
    raising=_wrong,
    reused=SINGLE,
    with_blocks=("context_embedder",),
    **CROSS,
)
class ChecksStay(CrossModel):
    """Errors that the user sees come on every step, though only the blocks read what is checked."""

    def forward(self, hidden_states, timestep, encoder_hidden_states, masks=None):
        temb = self.time_embed(timestep)
        _check_rank(encoder_hidden_states)
        if encoder_hidden_states.shape[0] != hidden_states.shape[0]:
            raise ValueError("batch sizes differ")
        text_length = encoder_hidden_states.shape[1]
        assert text_length > 0, "no text"
        if masks is not None:
            if len(masks) == 1:
                raise IndexError(f"one mask of {text_length}")
            scale = sum(masks)
        else:
            scale = 1
        encoder_hidden_states = self.context_embedder(encoder_hidden_states) * scale
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual(scale=0.5), draw.dual()], reused=SINGLE, with_blocks=("context_embedder",), **CROSS)
class WarningStays(CrossModel):
    """A warning comes on every step."""

    def forward(self, hidden_states, timestep, encoder_hidden_states, scale=None):
        temb = self.time_embed(timestep)
        if scale is not None:
            warnings.warn("`scale` has no effect", stacklevel=1)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
