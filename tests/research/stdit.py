"""As Open-Sora's STDiT3: pairs of a spatial and a temporal block over one sequence, frames that are kept by a mask."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import Attention, CrossAttention, Mlp, TimestepEmbedder


def rearrange_to_frames(x, B, T, S):
    return x.reshape(B, T, S, -1).reshape(B * T, S, -1)


def rearrange_to_places(x, B, T, S):
    return x.reshape(B, T, S, -1).transpose(1, 2).reshape(B * S, T, -1)


def t_mask_select(x_mask, x, masked_x, T, S):
    # x: [B, (T, S), C], x_mask: [B, T]
    x = torch.where(x_mask[:, :, None, None], x.unflatten(1, (T, S)), masked_x.unflatten(1, (T, S)))
    return x.flatten(1, 2)


class STDiT3Block(nn.Module):
    def __init__(self, hidden_size, num_heads, temporal=False):
        super().__init__()
        self.temporal = temporal
        self.hidden_size = hidden_size
        self.norm1 = nn.LayerNorm(hidden_size, eps=1e-6, elementwise_affine=False)
        self.attn = Attention(hidden_size, num_heads)
        self.cross_attn = CrossAttention(hidden_size, num_heads)
        self.norm2 = nn.LayerNorm(hidden_size, eps=1e-6, elementwise_affine=False)
        self.mlp = Mlp(hidden_size)
        self.scale_shift_table = nn.Parameter(torch.randn(6, hidden_size) / hidden_size**0.5)

    def forward(self, x, y, t, x_mask=None, t0=None, T=None, S=None):
        B, N, C = x.shape
        table = self.scale_shift_table[None]
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = (table + t.reshape(B, 6, -1)).chunk(6, dim=1)
        if x_mask is not None:
            table_zero = (table + t0.reshape(B, 6, -1)).chunk(6, dim=1)

        x_m = self.norm1(x) * (1 + scale_msa) + shift_msa
        if x_mask is not None:
            x_m_zero = self.norm1(x) * (1 + table_zero[1]) + table_zero[0]
            x_m = t_mask_select(x_mask, x_m, x_m_zero, T, S)

        if self.temporal:
            x_m = self.attn(rearrange_to_places(x_m, B, T, S))
            x_m = x_m.reshape(B, S, T, C).transpose(1, 2).reshape(B, N, C)
        else:
            x_m = self.attn(rearrange_to_frames(x_m, B, T, S)).reshape(B, N, C)
        x = x + gate_msa * x_m
        x = x + self.cross_attn(x, y)
        x = x + gate_mlp * self.mlp(self.norm2(x) * (1 + scale_mlp) + shift_mlp)
        return x


class T2IFinalLayer(nn.Module):
    def __init__(self, hidden_size, out_channels):
        super().__init__()
        self.norm_final = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(hidden_size, out_channels)
        self.scale_shift_table = nn.Parameter(torch.randn(2, hidden_size) / hidden_size**0.5)

    def forward(self, x, t, x_mask=None, t0=None, T=None, S=None):
        shift, scale = (self.scale_shift_table[None] + t[:, None]).chunk(2, dim=1)
        normed = self.norm_final(x)
        x = normed * (1 + scale) + shift
        if x_mask is not None:
            shift_zero, scale_zero = (self.scale_shift_table[None] + t0[:, None]).chunk(2, dim=1)
            x = t_mask_select(x_mask, x, normed * (1 + scale_zero) + shift_zero, T, S)
        return self.linear(x)


class STDiT3(nn.Module):
    def __init__(self, in_channels=4, hidden_size=32, depth=2, num_heads=2, caption_channels=12, patch_size=(1, 2, 2)):
        super().__init__()
        self.patch_size = patch_size
        self.in_channels = in_channels
        self.x_embedder = nn.Conv3d(in_channels, hidden_size, patch_size, patch_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.fps_embedder = TimestepEmbedder(hidden_size)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 6 * hidden_size, bias=True))
        self.y_embedder = nn.Linear(caption_channels, hidden_size)
        self.spatial_blocks = nn.ModuleList([STDiT3Block(hidden_size, num_heads) for _ in range(depth)])
        self.temporal_blocks = nn.ModuleList([STDiT3Block(hidden_size, num_heads, temporal=True) for _ in range(depth)])
        self.final_layer = T2IFinalLayer(hidden_size, 4 * in_channels)

    def forward(self, x, timestep, y, fps, x_mask=None):
        dtype = self.x_embedder.weight.dtype
        x, timestep, y = x.to(dtype), timestep.to(dtype), y.to(dtype)
        B, C, T, H, W = x.shape
        H, W = H // 2, W // 2
        S = H * W

        t = self.t_embedder(timestep)
        fps = self.fps_embedder(fps)
        t = t + fps
        t_mlp = self.t_block(t)
        t0 = t0_mlp = None
        if x_mask is not None:
            t0_timestep = torch.zeros_like(timestep)
            t0 = self.t_embedder(t0_timestep)
            t0 = t0 + fps
            t0_mlp = self.t_block(t0)
        y = self.y_embedder(y)

        x = self.x_embedder(x).flatten(2).transpose(1, 2)
        for spatial_block, temporal_block in zip(self.spatial_blocks, self.temporal_blocks):
            x = spatial_block(x, y, t_mlp, x_mask, t0_mlp, T, S)
            x = temporal_block(x, y, t_mlp, x_mask, t0_mlp, T, S)

        x = self.final_layer(x, t, x_mask, t0, T, S)
        x = x.reshape(B, T, H, W, 2, 2, C).permute(0, 6, 1, 2, 4, 3, 5).reshape(B, C, T, 2 * H, 2 * W)
        # cast to float32 for better accuracy
        x = x.to(torch.float32)
        return x
