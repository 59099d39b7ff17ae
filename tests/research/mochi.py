"""As Genmo's Mochi: lists of conditions, and one method that prepares all that the blocks need."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F

from tests.research.layers import CrossAttention, FinalLayer, Mlp, TimestepEmbedder


def modulated_rmsnorm(x, scale, eps=1e-6):
    dtype = x.dtype
    x = x.float()
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    return (x * (1 + scale.unsqueeze(1).float())).to(dtype)


class AsymmetricAttention(nn.Module):
    def __init__(self, dim_x, dim_y, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv_x = nn.Linear(dim_x, 3 * dim_x)
        self.qkv_y = nn.Linear(dim_y, 3 * dim_x)
        self.proj_x = nn.Linear(dim_x, dim_x)
        self.proj_y = nn.Linear(dim_x, dim_y)

    def forward(self, x, y, *, scale_x, scale_y, rope, mask):
        # Pre-norm for visual features
        x = modulated_rmsnorm(x, scale_x)
        y = modulated_rmsnorm(y, scale_y)
        qkv = torch.cat([self.qkv_x(x), self.qkv_y(y)], dim=1)
        q, k, v = qkv.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        n = x.shape[1]
        q = torch.cat([q[:, :, :n] * rope, q[:, :, n:]], dim=2)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None]).transpose(1, 2).flatten(2)
        return self.proj_x(out[:, :n]), self.proj_y(out[:, n:])


class AsymmetricJointBlock(nn.Module):
    def __init__(self, hidden_size_x, hidden_size_y, num_heads):
        super().__init__()
        self.mod_x = nn.Linear(hidden_size_x, 4 * hidden_size_x)
        self.mod_y = nn.Linear(hidden_size_x, 4 * hidden_size_y)
        self.attn = AsymmetricAttention(hidden_size_x, hidden_size_y, num_heads)
        self.mlp_x = Mlp(hidden_size_x)
        self.mlp_y = Mlp(hidden_size_y)

    def forward(self, x, c, y, *, rope, mask):
        c = F.silu(c)
        mod_x = self.mod_x(c)
        scale_msa_x, gate_msa_x, scale_mlp_x, gate_mlp_x = mod_x.chunk(4, dim=1)
        mod_y = self.mod_y(c)
        scale_msa_y, gate_msa_y, scale_mlp_y, gate_mlp_y = mod_y.chunk(4, dim=1)

        # Self-attention block.
        x_attn, y_attn = self.attn(x, y, scale_x=scale_msa_x, scale_y=scale_msa_y, rope=rope, mask=mask)

        x = x + gate_msa_x.tanh().unsqueeze(1) * x_attn
        y = y + gate_msa_y.tanh().unsqueeze(1) * y_attn

        # MLP block.
        x = x + gate_mlp_x.tanh().unsqueeze(1) * self.mlp_x(modulated_rmsnorm(x, scale_mlp_x))
        y = y + gate_mlp_y.tanh().unsqueeze(1) * self.mlp_y(modulated_rmsnorm(y, scale_mlp_y))
        return x, y


class AsymmDiTJoint(nn.Module):
    """Diffusion model with a Transformer backbone. Ingests text embeddings instead of a label."""

    def __init__(self, patch_size=2, in_channels=4, hidden_size_x=32, hidden_size_y=16, depth=3, t5_feat_dim=12):
        super().__init__()
        self.patch_size = patch_size
        self.in_channels = in_channels
        self.x_embedder = nn.Conv2d(in_channels, hidden_size_x, patch_size, patch_size)
        self.t_embedder = TimestepEmbedder(hidden_size_x)
        self.t5_y_embedder = CrossAttention(t5_feat_dim)
        self.t5_y_proj = nn.Linear(t5_feat_dim, hidden_size_x)
        self.t5_yproj = nn.Linear(t5_feat_dim, hidden_size_y)
        self.pos_frequencies = nn.Parameter(torch.randn(3, hidden_size_x // 2))
        self.blocks = nn.ModuleList([AsymmetricJointBlock(hidden_size_x, hidden_size_y, 2) for _ in range(depth)])
        self.final_layer = FinalLayer(hidden_size_x, patch_size * patch_size * in_channels)

    def embed_x(self, x):
        return self.x_embedder(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (x.shape[0], x.shape[2]))

    def prepare(self, x, sigma, t5_feat, t5_mask):
        """Prepare input and conditioning embeddings."""
        # Visual patch embeddings with positional encoding.
        T, H, W = x.shape[-3], x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        x = self.embed_x(x).permute(0, 1, 3, 4, 2).flatten(1, 3)  # (B, N, D)
        grid = torch.cartesian_prod(*(torch.arange(size, device=x.device) for size in (T, H, W))).reshape(-1, 3)
        rope = (grid.to(self.pos_frequencies.dtype) @ self.pos_frequencies).cos()

        # Global vector embedding for conditionings.
        c_t = self.t_embedder(1 - sigma)
        # Pool T5 tokens using attention pooler
        t5_y_pool = self.t5_y_embedder(t5_feat.mean(1, keepdim=True), t5_feat, t5_mask).squeeze(1)
        c = c_t + self.t5_y_proj(t5_y_pool)
        y_feat = self.t5_yproj(t5_feat)  # (B, L, t5_feat_dim) -> (B, L, D)
        return x, c, y_feat, rope

    def forward(self, x, sigma, y_feat, y_mask):
        """
        x: (B, C, T, H, W) tensor of videos
        sigma: (B,) tensor of noise standard deviations
        y_feat: list of (B, L, y_feat_dim) caption token features, y_mask: list of (B, L) boolean masks
        """
        B, _, T, H, W = x.shape
        assert len(y_feat) == len(y_mask) == 1
        x, c, y_feat, rope = self.prepare(x, sigma, y_feat[0], y_mask[0])
        N = x.size(1)
        mask = torch.cat([y_mask[0].new_ones(B, N), y_mask[0]], dim=1).bool()

        for i, block in enumerate(self.blocks):
            x, y_feat = block(x, c, y_feat, rope=rope, mask=mask)  # (B, M, D), (B, L, D)
        del y_feat  # Final layers don't use dense text features.

        x = self.final_layer(x, c)  # (B, M, patch_size ** 2 * out_channels)

        p = self.patch_size
        x = x.reshape(B, T, H // p, W // p, p, p, self.in_channels)
        return x.permute(0, 6, 1, 2, 4, 3, 5).reshape(B, self.in_channels, T, H, W)
