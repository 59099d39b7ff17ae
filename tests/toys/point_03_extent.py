"""Point 3: where the blocks end."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import CrossModel, DualModel, SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
DUAL = {"style": "dual", "loops": "transformer_blocks, single_transformer_blocks"}


@TOYS.good(
    lambda draw: [draw.dual(), draw.dual(num_ref_tokens=1)],
    spec=DUAL,
    reused=SINGLE,
    with_blocks=("context_embedder",),
)
class StripUnderIf(DualModel):
    """The text tokens leave the stream in both branches of an `if` (Flux2)."""

    def forward(self, hidden_states, encoder_hidden_states, timestep, num_ref_tokens=0):
        num_txt_tokens = encoder_hidden_states.shape[1]
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        for block in self.transformer_blocks:
            encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = torch.cat([encoder_hidden_states, hidden_states], dim=1)
        for block in self.single_transformer_blocks:
            hidden_states = block(hidden_states, temb)
        if num_ref_tokens > 0:
            hidden_states = hidden_states[:, num_txt_tokens + num_ref_tokens - 1 :, ...] * 2
            hidden_states = hidden_states[:, num_ref_tokens - 1 :]
        else:
            hidden_states = hidden_states[:, num_txt_tokens:, ...]
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(
    lambda draw: [draw.single(), draw.single(masks=draw.tensor(draw.batch, draw.image))],
    reused=SINGLE,
    with_blocks=(),
)
class DroppedMask(SingleModel):
    """The last mask reaches no return value and needs a length from between the cuts (HiDream)."""

    def forward(self, hidden_states, timestep, masks=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        image_tokens = hidden_states.shape[1]
        hidden_states = torch.cat([hidden_states, hidden_states[:, :1]], dim=1)
        if masks is not None:
            masks = torch.cat([masks, masks[:, :1]], dim=1)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            if masks is not None:
                hidden_states = hidden_states * masks[:, :, None]
        seen = hidden_states.std()
        hidden_states = self.norm_out(hidden_states, temb)
        output = self.proj_out(hidden_states)[:, :image_tokens]
        if masks is not None:
            masks = masks[:, :image_tokens] * seen
        return (output,)


@TOYS.good(
    lambda draw: [draw.dual()],
    attention="transformer_blocks.0.attn1",
    reused=SINGLE,
    with_blocks=("context_embedder",),
)
class OnlyReads(CrossModel):
    """Statements before the head that only read the stream stay in the postlude (Wan's shift and scale)."""

    def __init__(self):
        super().__init__()
        self.scale_shift_table = nn.Parameter(torch.randn(1, 2, 8))
        self.norm_out = nn.LayerNorm(8, elementwise_affine=False)

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, encoder_hidden_states, temb)
        if temb.ndim == 3:
            shift, scale = (self.scale_shift_table.unsqueeze(0) + temb.unsqueeze(2)).chunk(2, dim=2)
            shift = shift.squeeze(2)
            scale = scale.squeeze(2)
        else:
            shift, scale = (self.scale_shift_table + temb.unsqueeze(1)).chunk(2, dim=1)
        shift = shift.to(hidden_states.device)
        scale = scale.to(hidden_states.device)
        hidden_states = (self.norm_out(hidden_states.float()) * (1 + scale) + shift).type_as(hidden_states)
        return self.proj_out(hidden_states)


@TOYS.good(
    lambda draw: [draw.single()],
    spec={"head": "proj_out"},
    carried={"scale": False},
    reused=tuple(n for n in SINGLE if n != "norm_out"),
)
class CastsBeforeHead(SingleModel):
    """Several rebinds before the head, the last to another dtype and under a name of its own."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        dtype = hidden_states.dtype
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = hidden_states.float()
        scale = hidden_states.shape[1]
        hidden_states = (hidden_states * scale).to(dtype)
        output = self.proj_out(hidden_states)
        return output * scale


@TOYS.good(
    lambda draw: [draw.dual()],
    spec={"loops": "single_transformer_blocks", "norm": "single_transformer_blocks.0.norm1"},
    attention="single_transformer_blocks.0.attn",
    reused=(*(name for name in SINGLE if "." not in name), "context_embedder", "single_transformer_blocks.0.norm1"),
    with_blocks=(),
)
class JointEntry(DualModel):
    """The joint stream enters the only loop; its text part is cut off behind it, in the postlude (Krea 2)."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        text_length = encoder_hidden_states.shape[1]
        hidden_states = torch.cat([self.context_embedder(encoder_hidden_states), self.x_embedder(hidden_states)], dim=1)
        for block in self.single_transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = hidden_states[:, text_length:]
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), carried={}, later=True)
class SplitAtHead(SingleModel):
    """The head stands in a return expression, the last rebind is a tuple target with a star."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        (hidden_states, *others) = (hidden_states * 2, temb, timestep)
        return self.proj_out(self.norm_out(hidden_states, others[0])), {"timestep": others[-1]}


@TOYS.good(lambda draw: [draw.single()], spec={"until": "refine"}, later=True)
class EndsWhereTheSpecSays(SingleModel):
    """A module of the head's rebinds the stream and reads the condition.

    Red if `until` is not heeded: then what refines is that of the last computed step.
    """

    def __init__(self):
        super().__init__()
        self.refine = SingleBlock()

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = torch.tanh(self.refine(hidden_states, temb))
        return self.proj_out(self.norm_out(hidden_states, temb))
