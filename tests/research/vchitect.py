"""As Vchitect: text and video attend to each other, frames are folded into the batch, LayerDrop in training alone."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import Attention, DiTBlock, Mlp, TimestepEmbedder, modulate


class JointTransformerBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False)
        self.norm1_context = nn.LayerNorm(dim, elementwise_affine=False)
        self.ada = nn.Linear(dim, 6 * dim)
        self.ada_context = nn.Linear(dim, 6 * dim)
        self.attn = Attention(dim, heads)
        self.attn_temporal = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False)
        self.ff = Mlp(dim)
        self.ff_context = Mlp(dim)

    def forward(self, hidden_states, encoder_hidden_states, temb, batch_size):
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = self.ada(temb).chunk(6, dim=1)
        c_shift, c_scale, c_gate, _, _, c_gate_mlp = self.ada_context(temb).chunk(6, dim=1)
        norm_hidden_states = modulate(self.norm1(hidden_states), shift_msa, scale_msa)
        norm_encoder_hidden_states = modulate(self.norm1_context(encoder_hidden_states), c_shift, c_scale)
        length = hidden_states.shape[1]

        output = self.attn(torch.cat([norm_hidden_states, norm_encoder_hidden_states], dim=1))
        frames = norm_hidden_states.unflatten(0, (batch_size, -1)).transpose(1, 2)  # b n f d
        temporal = self.attn_temporal(frames.flatten(0, 1)).unflatten(0, (batch_size, -1)).transpose(1, 2).flatten(0, 1)

        hidden_states = hidden_states + gate_msa.unsqueeze(1) * (output[:, :length] + temporal)
        encoder_hidden_states = encoder_hidden_states + c_gate.unsqueeze(1) * output[:, length:]
        normed = modulate(self.norm2(hidden_states), shift_mlp, scale_mlp)
        hidden_states = hidden_states + gate_mlp.unsqueeze(1) * self.ff(normed)
        encoder_hidden_states = encoder_hidden_states + c_gate_mlp.unsqueeze(1) * self.ff_context(encoder_hidden_states)
        return encoder_hidden_states, hidden_states


class VchitectXLTransformerModel(nn.Module):
    def __init__(self, in_channels=4, dim=32, num_layers=3, heads=2, text_dim=12, pooled_dim=8, layerdrop=0.1):
        super().__init__()
        self.out_channels = in_channels
        self.layerdrop = layerdrop
        self.pos_embed = nn.Conv2d(in_channels, dim, 2, 2)
        self.time_embed = TimestepEmbedder(dim)
        self.pooled_embed = nn.Linear(pooled_dim, dim)
        self.context_embedder = nn.Linear(text_dim, dim)
        self.refiner = DiTBlock(dim, heads)
        self.transformer_blocks = nn.ModuleList([JointTransformerBlock(dim, heads) for _ in range(num_layers)])
        self.norm_out = nn.LayerNorm(dim, elementwise_affine=False)
        self.ada_out = nn.Linear(dim, 2 * dim)
        self.proj_out = nn.Linear(dim, 4 * in_channels)

    def patchify(self, x):
        batch_size, frames = x.shape[:2]
        x = self.pos_embed(x.flatten(0, 1)).flatten(2).transpose(1, 2)
        return x, batch_size, frames

    def forward(self, x, encoder_hidden_states, pooled_projections, timestep, freqs_cis=None):
        height, width = x.shape[-2] // 2, x.shape[-1] // 2
        hidden_states, batch_size, frames = self.patchify(x)
        temb = self.time_embed(timestep) + self.pooled_embed(pooled_projections)
        encoder_hidden_states = self.refiner(self.context_embedder(encoder_hidden_states), temb)
        temb = temb.repeat_interleave(frames, dim=0)
        encoder_hidden_states = encoder_hidden_states.repeat_interleave(frames, dim=0)

        for index_block, block in enumerate(self.transformer_blocks):
            if self.training and index_block > 0 and torch.rand(1).item() < self.layerdrop:
                continue
            encoder_hidden_states, hidden_states = block(
                hidden_states, encoder_hidden_states=encoder_hidden_states, temb=temb, batch_size=batch_size
            )

        shift, scale = self.ada_out(temb).chunk(2, dim=1)
        hidden_states = self.proj_out(modulate(self.norm_out(hidden_states), shift, scale))
        output = hidden_states.reshape(-1, height, width, 2, 2, self.out_channels).permute(0, 5, 1, 3, 2, 4)
        output = output.reshape(batch_size, frames, self.out_channels, 2 * height, 2 * width)
        return output
