"""As Wan's own code and many trainers: embeddings in float32, and the loop of blocks within `torch.autocast`."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import DiTBlock, FinalLayer, TimestepEmbedder


class AutocastDiT(nn.Module):
    def __init__(self, in_channels=4, hidden_size=32, depth=3, text_dim=12):
        super().__init__()
        self.in_channels = in_channels
        self.patch_embedding = nn.Conv3d(in_channels, hidden_size, (1, 2, 2), (1, 2, 2))
        self.time_embedding = TimestepEmbedder(hidden_size)
        self.text_embedding = nn.Linear(text_dim, hidden_size)
        self.blocks = nn.ModuleList([DiTBlock(hidden_size) for _ in range(depth)])
        self.head = FinalLayer(hidden_size, 4 * in_channels)
        self.initialize_weights()

    def initialize_weights(self):
        nn.init.normal_(self.time_embedding.mlp[0].weight, std=0.02)
        nn.init.normal_(self.time_embedding.mlp[2].weight, std=0.02)
        # Zero-out adaLN modulation layers and the output layer:
        for block in self.blocks:
            nn.init.constant_(block.adaLN_modulation[-1].weight, 0)
            nn.init.constant_(block.adaLN_modulation[-1].bias, 0)
        nn.init.constant_(self.head.adaLN_modulation[-1].weight, 0)
        nn.init.constant_(self.head.linear.weight, 0)
        nn.init.constant_(self.head.linear.bias, 0)

    def forward(self, x, t, context):
        """x: (B, C, F, H, W) tensor of videos, t: (B,) tensor of timesteps, context: (B, L, D) text."""
        x = self.patch_embedding(x)
        F, H, W = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)

        with torch.autocast(x.device.type, enabled=False):
            e = self.time_embedding(t)
        e = e + self.text_embedding(context).mean(dim=1)

        with torch.autocast(device_type=x.device.type, dtype=torch.bfloat16):
            for block in self.blocks:
                x = block(x, e)

        x = self.head(x.to(self.head.linear.weight.dtype), e)
        x = x.reshape(x.shape[0], F, H, W, 2, 2, self.in_channels).permute(0, 6, 1, 2, 4, 3, 5)
        return x.reshape(x.shape[0], self.in_channels, F, 2 * H, 2 * W)
