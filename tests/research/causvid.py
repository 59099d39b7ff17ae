"""As CausVid and Self-Forcing: frames see earlier ones, whose keys and values the caller's cache may hold."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F

from tests.research.layers import Mlp, TimestepEmbedder


class CausalWanSelfAttention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)

    def forward(self, x, block_mask, kv_cache=None, current_start=0):
        b, s, n = *x.shape[:2], self.num_heads
        q, k, v = (layer(x).view(b, s, n, -1) for layer in (self.q, self.k, self.v))
        if kv_cache is None:
            q, k, v = (part.transpose(1, 2) for part in (q, k, v))
            x = F.scaled_dot_product_attention(q, k, v, attn_mask=block_mask)
        else:
            current_end = current_start + s
            kv_cache["k"][:, current_start:current_end] = k
            kv_cache["v"][:, current_start:current_end] = v
            k, v = kv_cache["k"][:, :current_end], kv_cache["v"][:, :current_end]
            x = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return self.o(x.transpose(1, 2).flatten(2))


class CausalWanAttentionBlock(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False)
        self.self_attn = CausalWanSelfAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False)
        self.ffn = Mlp(dim)
        self.modulation = nn.Parameter(torch.randn(1, 6, dim) / dim**0.5)

    def forward(self, x, e, block_mask, kv_cache=None, current_start=0):
        e = (self.modulation.unsqueeze(1) + e).chunk(6, dim=2)
        num_frames, frame_seqlen = e[0].shape[1], x.shape[1] // e[0].shape[1]
        normed = self.norm1(x).unflatten(dim=1, sizes=(num_frames, frame_seqlen))
        y = self.self_attn((normed * (1 + e[1]) + e[0]).flatten(1, 2), block_mask, kv_cache, current_start)
        x = x + (y.unflatten(dim=1, sizes=(num_frames, frame_seqlen)) * e[2]).flatten(1, 2)
        y = self.norm2(x).unflatten(dim=1, sizes=(num_frames, frame_seqlen))
        y = self.ffn((y * (1 + e[4]) + e[3]).flatten(1, 2))
        return x + (y.unflatten(dim=1, sizes=(num_frames, frame_seqlen)) * e[5]).flatten(1, 2)


class CausalHead(nn.Module):
    def __init__(self, dim, out_dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.head = nn.Linear(dim, out_dim)
        self.modulation = nn.Parameter(torch.randn(1, 2, dim) / dim**0.5)

    def forward(self, x, e):
        e = (self.modulation.unsqueeze(1) + e).chunk(2, dim=2)
        x = self.norm(x).unflatten(dim=1, sizes=(e[0].shape[1], -1))
        return self.head(x * (1 + e[1]) + e[0])


class CausalWanModel(nn.Module):
    def __init__(self, in_dim=4, dim=32, num_heads=2, num_layers=3):
        super().__init__()
        self.dim = dim
        self.patch_embedding = nn.Conv3d(in_dim, dim, (1, 2, 2), (1, 2, 2))
        self.time_embedding = TimestepEmbedder(dim)
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, dim * 6))
        self.blocks = nn.ModuleList([CausalWanAttentionBlock(dim, num_heads) for _ in range(num_layers)])
        self.head = CausalHead(dim, 4 * in_dim)

    @staticmethod
    def _prepare_blockwise_causal_attn_mask(device, num_frames, frame_seqlen):
        frame = torch.arange(num_frames, device=device).repeat_interleave(frame_seqlen)
        return frame[:, None] >= frame[None]

    def forward(self, x, t, kv_cache=None, current_start=0):
        """
        x: (B, C, F, H, W) tensor of videos
        t: (B, F) tensor of one timestep for each frame
        kv_cache: for each block the keys and values of the frames so far, written here
        """
        x = self.patch_embedding(x)
        grid_sizes = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)

        # time embeddings
        e = self.time_embedding(t.flatten())
        e0 = self.time_projection(e).unflatten(1, (6, self.dim)).unflatten(dim=0, sizes=t.shape)

        block_mask = self._prepare_blockwise_causal_attn_mask(x.device, grid_sizes[0], grid_sizes[1] * grid_sizes[2])
        # arguments
        kwargs = dict(e=e0, block_mask=block_mask)
        for block_index, block in enumerate(self.blocks):
            if kv_cache is not None:
                kwargs.update({"kv_cache": kv_cache[block_index], "current_start": current_start})
            x = block(x, **kwargs)

        # head
        x = self.head(x, e.unflatten(dim=0, sizes=t.shape).unsqueeze(2))
        return (
            x.unflatten(2, grid_sizes[1:])
            .unflatten(-1, (2, 2, -1))
            .permute(0, 6, 1, 2, 4, 3, 5)
            .flatten(5)
            .flatten(3, 4)
        )
