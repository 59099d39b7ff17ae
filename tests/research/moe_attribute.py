"""A mixture of experts that leaves the sum of its auxiliary losses on the model, for the trainer to read."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import DiTBlock, FinalLayer, Mlp, PatchEmbed, TimestepEmbedder, unpatchify


class MoEBlock(DiTBlock):
    def __init__(self, hidden_size, num_experts=3):
        super().__init__(hidden_size)
        self.gate = nn.Linear(hidden_size, num_experts)
        self.experts = nn.ModuleList([Mlp(hidden_size, 1) for _ in range(num_experts)])

    def forward(self, x, c):
        x = super().forward(x, c)
        probs = self.gate(x).softmax(dim=-1)
        weight, index = probs.max(dim=-1, keepdim=True)
        y = torch.stack([expert(x) for expert in self.experts], dim=-1)
        y = torch.gather(y, -1, index[..., None].expand(*x.shape, 1)).squeeze(-1)
        self.aux_loss = probs.mean(dim=(0, 1)).square().sum()
        return x + weight * y


class MoEDiT(nn.Module):
    def __init__(self, patch_size=2, in_channels=4, hidden_size=32, depth=3, num_classes=10):
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = nn.Embedding(num_classes, hidden_size)
        self.blocks = nn.ModuleList([MoEBlock(hidden_size) for _ in range(depth)])
        self.final_layer = FinalLayer(hidden_size, patch_size**2 * in_channels)

    def forward(self, x, t, y):
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        x = self.x_embedder(x)
        c = self.t_embedder(t) + self.y_embedder(y)
        self.aux_loss = 0.0
        for block in self.blocks:
            x = block(x, c)
            self.aux_loss = self.aux_loss + block.aux_loss
        x = self.final_layer(x, c)
        return unpatchify(x, h, w, self.patch_size, self.in_channels)
