"""A causal transformer whose attention keeps its own cache between calls, as chatbots' do: no argument shows it."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F

from tests.research.layers import FinalLayer, Mlp, TimestepEmbedder, modulate


class CachedAttention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)
        self.k_cache = self.v_cache = None

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if self.k_cache is not None and self.k_cache.shape[0] == k.shape[0]:
            k = torch.cat([self.k_cache, k], dim=2)
            v = torch.cat([self.v_cache, v], dim=2)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)), k, v


class ChunkBlock(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False)
        self.attn = CachedAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False)
        self.mlp = Mlp(dim)
        self.adaLN_modulation = nn.Linear(dim, 4 * dim)

    def forward(self, x, c):
        shift_msa, scale_msa, shift_mlp, scale_mlp = self.adaLN_modulation(c).chunk(4, dim=1)
        y, self.last_k, self.last_v = self.attn(modulate(self.norm1(x), shift_msa, scale_msa))
        x = x + y
        return x + self.mlp(modulate(self.norm2(x), shift_mlp, scale_mlp))


class ChunkwiseTransformer(nn.Module):
    def __init__(self, in_channels=6, dim=32, num_heads=2, depth=3):
        super().__init__()
        self.proj_in = nn.Linear(in_channels, dim)
        self.time_embedding = TimestepEmbedder(dim)
        self.blocks = nn.ModuleList([ChunkBlock(dim, num_heads) for _ in range(depth)])
        self.head = FinalLayer(dim, in_channels)

    def reset_cache(self):
        for block in self.blocks:
            block.attn.k_cache = block.attn.v_cache = None

    def forward(self, x, t, is_last_step=False):
        """x: (B, L, C), a chunk of a stream; at its last step it becomes what later chunks attend to."""
        x = self.proj_in(x)
        c = self.time_embedding(t)
        for block in self.blocks:
            x = block(x, c)
        if is_last_step:
            for block in self.blocks:
                block.attn.k_cache, block.attn.v_cache = block.last_k, block.last_v
        return self.head(x, c)
