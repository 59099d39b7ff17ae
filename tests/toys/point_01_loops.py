"""Point 1: where block loops stand and what they run over."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import CrossModel, DualModel, SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
CROSS = {
    "attention": "transformer_blocks.0.attn1",
    "reused": SINGLE,
    "with_blocks": ("context_embedder",),
    "free": ("pos_embed",),
}


def checkpoint(module: nn.Module) -> None:
    """Turns the branch for gradient checkpointing on."""
    module.gradient_checkpointing = True


@TOYS.good(lambda draw: [draw.dual()], prepare=(nn.Module.eval, checkpoint), **CROSS)
class LoopsInBranches(CrossModel):
    """The whole loop stands in each branch (Wan, HunyuanVideo, Sana)."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        rotary_emb = self.pos_embed(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        temb = self.time_embed(timestep)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            for block in self.transformer_blocks:
                hidden_states = self._gradient_checkpointing_func(
                    block, hidden_states, encoder_hidden_states, temb, rotary_emb
                )
        else:
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, encoder_hidden_states, temb, rotary_emb)
        hidden_states = self.norm_out(hidden_states, temb)
        return (self.proj_out(hidden_states),)


@TOYS.good(lambda draw: [draw.dual()], prepare=(nn.Module.eval, checkpoint), **CROSS)
class BranchesInLoop(CrossModel):
    """The branches stand in the loop (FLUX, LTX)."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        rotary_emb = self.pos_embed(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        temb = self.time_embed(timestep)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        for block in self.transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden_states = self._gradient_checkpointing_func(
                    block, hidden_states, encoder_hidden_states, temb, rotary_emb
                )
            else:
                hidden_states = block(
                    hidden_states=hidden_states,
                    temb=temb,
                    encoder_hidden_states=encoder_hidden_states,
                    rotary_emb=rotary_emb,
                )
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(
    lambda draw: [draw.dual(), draw.dual(return_dict=False)],
    prepare=(nn.Module.eval, checkpoint),
    spec={"style": "dual", "loops": "transformer_blocks, single_transformer_blocks"},
    reused=SINGLE,
    with_blocks=("context_embedder",),
    free=("pos_embed",),
)
class SeveralLists(DualModel):
    """Two-stream blocks, then one-stream blocks over both joined; calls in a conditional (MotifVideo, FLUX)."""

    def forward(self, hidden_states, encoder_hidden_states, timestep, return_dict=True):
        image_rotary_emb = self.pos_embed(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        temb = self.time_embed(timestep)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        for block in self.transformer_blocks:
            encoder_hidden_states, hidden_states = (
                self._gradient_checkpointing_func(block, hidden_states, encoder_hidden_states, temb, image_rotary_emb)
                if torch.is_grad_enabled() and self.gradient_checkpointing
                else block(hidden_states, encoder_hidden_states, temb, image_rotary_emb)
            )
        text_length = encoder_hidden_states.shape[1]
        hidden_states = torch.cat([encoder_hidden_states, hidden_states], dim=1)
        for block in self.single_transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = hidden_states[:, text_length:, ...]
        hidden_states = self.norm_out(hidden_states, temb)
        output = self.proj_out(hidden_states)
        if not return_dict:
            return (output,)
        return {"sample": output}


@TOYS.good(
    lambda draw: [
        draw.single(),
        draw.single(controlnet_block_samples=[draw.tensor(draw.batch, draw.image, 8)]),
        draw.single(skip_layers=[0]),
    ],
    reused=SINGLE,
    with_blocks=(),
    free=("pos_embed",),
)
class Enumerated(SingleModel):
    """`enumerate`, a skipped layer, and a residual added in the loop (SD3, Qwen-Image)."""

    def forward(self, hidden_states, timestep, controlnet_block_samples=None, skip_layers=None):
        image_rotary_emb = self.pos_embed(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        temb = self.time_embed(timestep)
        for index_block, block in enumerate(self.transformer_blocks):
            if skip_layers is not None and index_block in skip_layers:
                continue
            hidden_states = block(hidden_states, temb, image_rotary_emb)
            if controlnet_block_samples is not None:
                interval = len(self.transformer_blocks) / len(controlnet_block_samples)
                hidden_states = hidden_states + controlnet_block_samples[int(index_block / interval)]
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(
    lambda draw: [draw.single(), draw.single(enable_temporal_attentions=False)],
    spec={"loops": "transformer_blocks, temporal_transformer_blocks"},
    reused=SINGLE,
    with_blocks=(),
    free=("pos_embed",),
)
class Zipped(SingleModel):
    """`enumerate(zip(a, b))` over two lists (Latte)."""

    def __init__(self):
        super().__init__()
        self.temporal_transformer_blocks = nn.ModuleList([SingleBlock() for _ in range(2)])

    def forward(self, hidden_states, timestep, enable_temporal_attentions=True):
        image_rotary_emb = self.pos_embed(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        temb = self.time_embed(timestep)
        for i, (spatial_block, temp_block) in enumerate(zip(self.transformer_blocks, self.temporal_transformer_blocks)):
            hidden_states = spatial_block(hidden_states, temb, image_rotary_emb)
            if enable_temporal_attentions:
                if i == 0 and hidden_states.shape[1] > 2:
                    hidden_states = hidden_states + image_rotary_emb
                hidden_states = temp_block(hidden_states.flip(1), temb).flip(1)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(
    lambda draw: [draw.single()],
    spec={"loops": "transformer_blocks, single_transformer_blocks"},
    reused=SINGLE,
    with_blocks=(),
)
class Sliced(DualModel):
    """Slices of a list behind a local name, the second loop under an `if` (MotifVideo)."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([SingleBlock() for _ in range(2)])
        self.num_decoder_layers = 1

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        if self.num_decoder_layers > 0:
            decoder_hidden_states = hidden_states.clone()
        for block in self.transformer_blocks[:2]:
            hidden_states = block(hidden_states, temb)
        single_transformer_blocks = self.single_transformer_blocks
        for block in single_transformer_blocks[: len(single_transformer_blocks) - self.num_decoder_layers]:
            hidden_states = block(hidden_states, temb)
        if self.num_decoder_layers > 0:
            encoder_hidden_states = hidden_states
            for block in single_transformer_blocks[-self.num_decoder_layers :]:
                decoder_hidden_states = block(decoder_hidden_states + encoder_hidden_states, temb)
            hidden_states = decoder_hidden_states
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class _Modes(SingleModel):
    def __init__(self):
        super().__init__()
        del self.transformer_blocks
        self.mode_blocks = nn.ModuleDict({mode: nn.ModuleList([SingleBlock()]) for mode in ("image", "cond")})


@TOYS.good(
    lambda draw: [draw.single(), draw.single(cond=draw.tensor(draw.batch, draw.text, 4))],
    spec={"norm": "mode_blocks.image.0.norm1", "loops": "mode_blocks.image, mode_blocks.cond"},
    attention="mode_blocks.image.0.attn",
)
class DictItems(_Modes):
    """Lists that are items of a ModuleDict, the second loop only with an optional input (Flux3)."""

    def forward(self, hidden_states, timestep, cond=None):
        temb = self.time_embed(timestep)
        image_rotary_emb = self.pos_embed(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        if cond is not None:
            cond = self.x_embedder(cond)
        for block in self.mode_blocks["image"]:
            hidden_states = block(hidden_states, temb, image_rotary_emb)
        if cond is not None:
            for block in self.mode_blocks["cond"]:
                cond = block(cond, temb)
            hidden_states = hidden_states + cond.mean(1, keepdim=True)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
