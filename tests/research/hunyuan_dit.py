"""As HunyuanDiT: long skips within one list of blocks, each of which checkpoints its own `_forward`."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch.utils.checkpoint import checkpoint

from tests.research.layers import (
    Attention,
    CrossAttention,
    FinalLayer,
    Mlp,
    PatchEmbed,
    TimestepEmbedder,
    unpatchify,
)


class HunYuanDiTBlock(nn.Module):
    """A HunYuanDiT block with `add` conditioning."""

    def __init__(self, hidden_size, c_emb_size, num_heads, skip=False):
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden_size, eps=1e-6)
        self.attn1 = Attention(hidden_size, num_heads)
        self.norm2 = nn.LayerNorm(hidden_size, eps=1e-6)
        self.mlp = Mlp(hidden_size)
        self.default_modulation = nn.Sequential(nn.SiLU(), nn.Linear(c_emb_size, hidden_size, bias=True))
        self.attn2 = CrossAttention(hidden_size, num_heads)
        self.norm3 = nn.LayerNorm(hidden_size, eps=1e-6)
        if skip:
            self.skip_norm = nn.LayerNorm(2 * hidden_size, eps=1e-6)
            self.skip_linear = nn.Linear(2 * hidden_size, hidden_size)
        else:
            self.skip_linear = None
        self.gradient_checkpointing = False

    def _forward(self, x, c=None, text_states=None, freq_cis_img=None, skip=None):
        # Long Skip Connection
        if self.skip_linear is not None:
            cat = torch.cat([x, skip], dim=-1)
            cat = self.skip_norm(cat)
            x = self.skip_linear(cat)

        # Self-Attention
        shift_msa = self.default_modulation(c).unsqueeze(dim=1)
        attn_inputs = self.norm1(x) + shift_msa
        if freq_cis_img is not None:
            attn_inputs = attn_inputs * freq_cis_img
        x = x + self.attn1(attn_inputs)

        # Cross-Attention
        x = x + self.attn2(self.norm3(x), text_states)

        # FFN Layer
        mlp_inputs = self.norm2(x)
        x = x + self.mlp(mlp_inputs)
        return x

    def forward(self, x, c=None, text_states=None, freq_cis_img=None, skip=None):
        if self.gradient_checkpointing and self.training:
            return checkpoint(self._forward, x, c, text_states, freq_cis_img, skip, use_reentrant=False)
        else:
            return self._forward(x, c, text_states, freq_cis_img, skip)


class HunYuanDiT(nn.Module):
    def __init__(self, patch_size=2, in_channels=4, hidden_size=32, depth=4, num_heads=2, text_states_dim=12):
        super().__init__()
        self.depth = depth
        self.patch_size = patch_size
        self.in_channels = in_channels
        self.out_channels = in_channels * 2
        self.text_embedding_padding = nn.Parameter(torch.randn(1, text_states_dim))
        self.mlp_t5 = nn.Sequential(nn.Linear(text_states_dim, hidden_size), nn.SiLU())
        self.extra_embedder = nn.Linear(text_states_dim, hidden_size)
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.blocks = nn.ModuleList(
            [HunYuanDiTBlock(hidden_size, hidden_size, num_heads, skip=layer > depth // 2) for layer in range(depth)]
        )
        self.final_layer = FinalLayer(hidden_size, patch_size * patch_size * self.out_channels)

    def forward(self, x, t, text_states, text_mask, freq_cis_img=None, return_dict=True):
        _, _, oh, ow = x.shape
        th, tw = oh // self.patch_size, ow // self.patch_size

        # ========================= Build text and image embedding =========================
        text_states = torch.where(text_mask.unsqueeze(2).bool(), text_states, self.text_embedding_padding)
        t = self.t_embedder(t)
        x = self.x_embedder(x)

        # Build combined vectors
        extra_vec = self.extra_embedder(text_states.mean(dim=1))
        c = t + extra_vec
        text_states = self.mlp_t5(text_states)

        # ========================= Forward pass through HunYuanDiT blocks =========================
        skips = []
        for layer, block in enumerate(self.blocks):
            if layer > self.depth // 2:
                skip = skips.pop()
                x = block(x, c, text_states, freq_cis_img, skip)  # (N, L, D)
            else:
                x = block(x, c, text_states, freq_cis_img)  # (N, L, D)

            if layer < (self.depth // 2 - 1):
                skips.append(x)

        # ========================= Final layer =========================
        x = self.final_layer(x, c)  # (N, L, patch_size ** 2 * out_channels)
        x = unpatchify(x, th, tw, self.patch_size, self.out_channels)  # (N, out_channels, H, W)

        if return_dict:
            return {"x": x}
        return x
