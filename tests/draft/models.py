"""Models outside diffusers, with constructors that need arguments."""

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(torch.nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(dim, elementwise_affine=False), Attention(dim, heads)
        self.modulation, self.ff = nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)

    def forward(self, x, emb):
        scale, shift = self.modulation(emb)[:, None].chunk(2, dim=-1)
        normed = self.norm(x) * (1 + scale) + shift
        return x + self.attn(normed) + self.ff(normed)


class SmallDiT(nn.Module):
    """One stream called `x`, a refiner before the blocks, and sizes without defaults."""

    def __init__(self, dim: int, depth: int, num_heads: int, in_channels: int = 6, text_dim: int = 48):
        super().__init__()
        self.proj_in, self.text_in = nn.Linear(in_channels, dim), nn.Linear(text_dim, dim)
        self.time_in = nn.Sequential(nn.Linear(1, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.refiner = nn.ModuleList([nn.Sequential(nn.Linear(dim, dim))])
        self.layers = nn.ModuleList([Block(dim, num_heads) for _ in range(depth)])
        self.norm_out, self.proj_out = nn.LayerNorm(dim), nn.Linear(dim, in_channels)

    def forward(self, x, t, text):
        emb = self.time_in(t[:, None].to(x.dtype))
        x, text = self.proj_in(x), self.text_in(text)
        for layer in self.refiner:
            text = layer(text)
        x = x + text.mean(1, keepdim=True)
        for layer in self.layers:
            x = layer(x, emb)
        return self.proj_out(self.norm_out(x))


class NeedsTable(SmallDiT):
    """A constructor argument that nobody can guess."""

    def __init__(self, table: dict, dim: int = 32):
        super().__init__(dim, table["depth"], 2)


class NoBlocks(nn.Module):
    """No transformer at all."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x)


class JointBlock(Block):
    """Both streams in, both out."""

    def forward(self, watched, x, emb):
        scale, shift = self.modulation(emb)[:, None].chunk(2, dim=-1)
        normed = self.norm(x) * (1 + scale) + shift
        return watched + x.mean(1, keepdim=True), x + self.attn(normed) + self.ff(normed)


class WatchedDiT(nn.Module):
    """The first of two streams is looked at behind the blocks, and only the second gets into the result."""

    def __init__(self, dim: int = 32, depth: int = 2):
        super().__init__()
        self.first, self.second, self.time_in = nn.Linear(6, dim), nn.Linear(6, dim), nn.Linear(1, dim)
        self.layers = nn.ModuleList([JointBlock(dim, 2) for _ in range(depth)])
        self.norm_out, self.proj_out = nn.LayerNorm(dim), nn.Linear(dim, 6)

    def forward(self, x, t):
        emb = self.time_in(t[:, None].to(x.dtype))
        watched, tokens = self.first(x), self.second(x)
        for layer in self.layers:
            watched, tokens = layer(watched, tokens, emb)
        assert watched.isfinite().all()
        return self.proj_out(self.norm_out(tokens))
