"""As Stable Audio: the conditions are prepended as tokens and cut off again; blocks are reached by their index."""

from __future__ import annotations

import math

import torch
import torch.nn as nn

from tests.research.layers import Attention, CrossAttention, Mlp


class FourierFeatures(nn.Module):
    def __init__(self, in_features, out_features, std=1.0):
        super().__init__()
        assert out_features % 2 == 0
        self.weight = nn.Parameter(torch.randn([out_features // 2, in_features]) * std)

    def forward(self, input):
        f = 2 * math.pi * input @ self.weight.T
        return torch.cat([f.cos(), f.sin()], dim=-1)


class TransformerBlock(nn.Module):
    def __init__(self, dim, num_heads, cross_attend=True):
        super().__init__()
        self.pre_norm = nn.LayerNorm(dim)
        self.self_attn = Attention(dim, num_heads)
        if cross_attend:
            self.cross_attend_norm = nn.LayerNorm(dim)
            self.cross_attn = CrossAttention(dim, num_heads)
        self.cross_attend = cross_attend
        self.ff_norm = nn.LayerNorm(dim)
        self.ff = Mlp(dim)

    def forward(self, x, context=None, mask=None, context_mask=None):
        x = x + self.self_attn(self.pre_norm(x), mask)
        if context is not None and self.cross_attend:
            x = x + self.cross_attn(self.cross_attend_norm(x), context, context_mask)
        x = x + self.ff(self.ff_norm(x))
        return x


class DiffusionTransformer(nn.Module):
    def __init__(self, io_channels=4, embed_dim=32, cond_token_dim=12, global_cond_dim=8, depth=3, num_heads=2):
        super().__init__()
        timestep_features_dim = 16
        self.timestep_features = FourierFeatures(1, timestep_features_dim)
        self.to_timestep_embed = nn.Sequential(
            nn.Linear(timestep_features_dim, embed_dim, bias=True),
            nn.SiLU(),
            nn.Linear(embed_dim, embed_dim, bias=True),
        )
        self.to_cond_embed = nn.Sequential(
            nn.Linear(cond_token_dim, embed_dim, bias=False), nn.SiLU(), nn.Linear(embed_dim, embed_dim, bias=False)
        )
        self.to_global_embed = nn.Sequential(nn.Linear(global_cond_dim, embed_dim, bias=False), nn.SiLU())
        self.project_in = nn.Linear(io_channels, embed_dim, bias=False)
        self.layers = nn.ModuleList([TransformerBlock(embed_dim, num_heads) for _ in range(depth)])
        self.project_out = nn.Linear(embed_dim, io_channels, bias=False)
        self.preprocess_conv = nn.Conv1d(io_channels, io_channels, 1, bias=False)
        self.postprocess_conv = nn.Conv1d(io_channels, io_channels, 1, bias=False)

    def forward(self, x, t, cross_attn_cond=None, cross_attn_cond_mask=None, global_embed=None, mask=None):
        if cross_attn_cond is not None:
            cross_attn_cond = self.to_cond_embed(cross_attn_cond)

        if global_embed is not None:
            # Project the global conditioning to the embedding dimension
            global_embed = self.to_global_embed(global_embed)

        prepend_inputs = None
        prepend_length = 0

        # Get the batch of timestep embeddings
        timestep_embed = self.to_timestep_embed(self.timestep_features(t[:, None].to(x.dtype)))  # (b, embed_dim)

        # Timestep embedding is considered a global embedding. Add to the global conditioning if it exists
        if global_embed is not None:
            global_embed = global_embed + timestep_embed
        else:
            global_embed = timestep_embed

        # Add the global_embed to the prepend inputs if there is no global conditioning support in the transformer
        prepend_inputs = global_embed.unsqueeze(1)
        prepend_length = prepend_inputs.shape[1]

        x = self.preprocess_conv(x) + x
        x = x.transpose(1, 2)  # b c t -> b t c
        x = self.project_in(x)
        x = torch.cat((prepend_inputs, x), dim=-2)

        for i in range(len(self.layers)):
            x = self.layers[i](x, context=cross_attn_cond, context_mask=cross_attn_cond_mask)

        x = self.project_out(x)
        output = x.transpose(1, 2)[:, :, prepend_length:]
        output = self.postprocess_conv(output) + output
        return output
