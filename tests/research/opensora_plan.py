"""As Open-Sora-Plan (and diffusers up to 0.32): checkpointing through a function that the loop itself defines."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import Attention, CrossAttention, Mlp, TimestepEmbedder


class BasicTransformerBlock(nn.Module):
    def __init__(self, dim, num_attention_heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False)
        self.attn1 = Attention(dim, num_attention_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2 = CrossAttention(dim, num_attention_heads)
        self.norm3 = nn.LayerNorm(dim, elementwise_affine=False)
        self.ff = Mlp(dim)
        self.scale_shift_table = nn.Parameter(torch.randn(6, dim) / dim**0.5)

    def forward(self, hidden_states, attention_mask=None, encoder_hidden_states=None, timestep=None):
        batch_size = hidden_states.shape[0]
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = (
            self.scale_shift_table[None] + timestep.reshape(batch_size, 6, -1)
        ).chunk(6, dim=1)
        norm_hidden_states = self.norm1(hidden_states) * (1 + scale_msa) + shift_msa
        hidden_states = hidden_states + gate_msa * self.attn1(norm_hidden_states, attention_mask)
        hidden_states = hidden_states + self.attn2(self.norm2(hidden_states), encoder_hidden_states)
        norm_hidden_states = self.norm3(hidden_states) * (1 + scale_mlp) + shift_mlp
        return hidden_states + gate_mlp * self.ff(norm_hidden_states)


class OpenSoraT2V(nn.Module):
    def __init__(self, in_channels=4, inner_dim=32, num_layers=3, num_attention_heads=2, caption_channels=12):
        super().__init__()
        self.gradient_checkpointing = False
        self.inner_dim = inner_dim
        self.out_channels = in_channels
        self.pos_embed = nn.Conv3d(in_channels, inner_dim, (1, 2, 2), (1, 2, 2))
        self.adaln_single = TimestepEmbedder(inner_dim)
        self.adaln_linear = nn.Linear(inner_dim, 6 * inner_dim)
        self.caption_projection = nn.Linear(caption_channels, inner_dim)
        self.transformer_blocks = nn.ModuleList(
            [BasicTransformerBlock(inner_dim, num_attention_heads) for _ in range(num_layers)]
        )
        self.norm_out = nn.LayerNorm(inner_dim, elementwise_affine=False, eps=1e-6)
        self.scale_shift_table = nn.Parameter(torch.randn(2, inner_dim) / inner_dim**0.5)
        self.proj_out = nn.Linear(inner_dim, 4 * in_channels)

    def forward(
        self, hidden_states, timestep, encoder_hidden_states, attention_mask=None, use_image_num=0, return_dict=True
    ):
        batch_size, c, frame, h, w = hidden_states.shape
        hidden_states = hidden_states.to(self.proj_out.weight.dtype)
        # convert mask to bias: (1 = keep, 0 = discard) -> (keep = +0, discard = -10000.0)
        if attention_mask is not None:
            attention_mask = attention_mask.to(hidden_states.dtype)
            attention_mask = (1 - attention_mask) * -10000.0
            attention_mask = attention_mask[:, None, None].repeat_interleave(h // 2 * (w // 2), dim=-1)

        # 1. Input
        hidden_states, encoder_hidden_states, timestep, embedded_timestep = self._operate_on_patched_inputs(
            hidden_states, encoder_hidden_states, timestep, batch_size
        )

        # 2. Blocks
        for _, block in enumerate(self.transformer_blocks):
            if self.training and self.gradient_checkpointing:

                def create_custom_forward(module, return_dict=None):
                    def custom_forward(*inputs):
                        if return_dict is not None:
                            return module(*inputs, return_dict=return_dict)
                        else:
                            return module(*inputs)

                    return custom_forward

                hidden_states = torch.utils.checkpoint.checkpoint(
                    create_custom_forward(block),
                    hidden_states,
                    attention_mask,
                    encoder_hidden_states,
                    timestep,
                    use_reentrant=False,
                )
            else:
                hidden_states = block(
                    hidden_states,
                    attention_mask=attention_mask,
                    encoder_hidden_states=encoder_hidden_states,
                    timestep=timestep,
                )

        # 3. Output
        output = self._get_output_for_patched_inputs(hidden_states, embedded_timestep, frame, h // 2, w // 2)
        if not return_dict:
            return (output,)
        return {"sample": output}

    def _operate_on_patched_inputs(self, hidden_states, encoder_hidden_states, timestep, batch_size):
        hidden_states = self.pos_embed(hidden_states).flatten(2).transpose(1, 2)
        embedded_timestep = self.adaln_single(timestep)
        timestep = self.adaln_linear(nn.functional.silu(embedded_timestep)).view(batch_size, 6, -1)
        encoder_hidden_states = self.caption_projection(encoder_hidden_states)
        return hidden_states, encoder_hidden_states, timestep, embedded_timestep

    def _get_output_for_patched_inputs(self, hidden_states, embedded_timestep, num_frames, height, width):
        shift, scale = (self.scale_shift_table[None] + embedded_timestep[:, None]).chunk(2, dim=1)
        hidden_states = self.norm_out(hidden_states)
        hidden_states = hidden_states * (1 + scale) + shift
        hidden_states = self.proj_out(hidden_states)
        hidden_states = hidden_states.reshape(-1, num_frames, height, width, 1, 2, 2, self.out_channels)
        hidden_states = torch.einsum("nthwopqc->nctohpwq", hidden_states)
        return hidden_states.reshape(-1, self.out_channels, num_frames, height * 2, width * 2)
