"""As DiT-MoE: tokens go to experts, shared experts see all of them, and the loss that balances the load is returned."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import (
    Attention,
    FinalLayer,
    LabelEmbedder,
    Mlp,
    PatchEmbed,
    TimestepEmbedder,
    modulate,
    unpatchify,
)


class MoEGate(nn.Module):
    def __init__(self, embed_dim, num_experts=4, num_experts_per_tok=2):
        super().__init__()
        self.top_k = num_experts_per_tok
        self.n_routed_experts = num_experts
        self.weight = nn.Parameter(torch.randn(num_experts, embed_dim) / embed_dim**0.5)

    def forward(self, hidden_states):
        bsz, seq_len, h = hidden_states.shape
        logits = nn.functional.linear(hidden_states.reshape(-1, h), self.weight)
        scores = logits.softmax(dim=-1)
        topk_weight, topk_idx = torch.topk(scores, k=self.top_k, dim=-1, sorted=False)
        mask_ce = nn.functional.one_hot(topk_idx.view(-1), num_classes=self.n_routed_experts)
        aux_loss = (scores.mean(0) * mask_ce.to(scores.dtype).mean(0) * self.n_routed_experts).sum()
        return topk_idx, topk_weight, aux_loss


class SparseMoeBlock(nn.Module):
    def __init__(self, embed_dim, num_experts=4, num_experts_per_tok=2):
        super().__init__()
        self.experts = nn.ModuleList([Mlp(embed_dim, 1) for _ in range(num_experts)])
        self.gate = MoEGate(embed_dim, num_experts, num_experts_per_tok)
        self.shared_experts = Mlp(embed_dim)

    def forward(self, hidden_states):
        topk_idx, topk_weight, aux_loss = self.gate(hidden_states)
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        y = torch.zeros_like(flat)
        for i, expert in enumerate(self.experts):
            weight = (topk_weight * (topk_idx == i)).sum(-1, keepdim=True)
            y = y + weight * expert(flat)
        return y.view_as(hidden_states) + self.shared_experts(hidden_states), aux_loss


class DiTBlock(nn.Module):
    """A DiT block with adaptive layer norm zero (adaLN-Zero) conditioning."""

    def __init__(self, hidden_size, num_heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(hidden_size, num_heads)
        self.norm2 = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.moe = SparseMoeBlock(hidden_size)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 6 * hidden_size))

    def forward(self, x, c):
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = self.adaLN_modulation(c).chunk(6, dim=1)
        x = x + gate_msa.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift_msa, scale_msa))
        y, aux_loss = self.moe(modulate(self.norm2(x), shift_mlp, scale_mlp))
        return x + gate_mlp.unsqueeze(1) * y, aux_loss


class DiTMoE(nn.Module):
    def __init__(self, patch_size=2, in_channels=4, hidden_size=32, depth=2, num_heads=2, num_classes=10):
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = LabelEmbedder(num_classes, hidden_size)
        self.blocks = nn.ModuleList([DiTBlock(hidden_size, num_heads) for _ in range(depth)])
        self.final_layer = FinalLayer(hidden_size, patch_size * patch_size * in_channels)

    def forward(self, x, t, y):
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        x = self.x_embedder(x)
        c = self.t_embedder(t) + self.y_embedder(y, self.training)
        aux_loss = 0.0
        for block in self.blocks:
            x, aux = block(x, c)
            aux_loss = aux_loss + aux
        x = self.final_layer(x, c)
        return unpatchify(x, h, w, self.patch_size, self.in_channels), aux_loss / len(self.blocks)
