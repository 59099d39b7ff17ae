"""As timm's vision transformers: `forward_features` returns the tokens and the condition, `forward_head` takes both."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import DiTBlock, FinalLayer, LabelEmbedder, PatchEmbed, TimestepEmbedder, unpatchify


class FeatureDiT(nn.Module):
    def __init__(self, patch_size=2, in_channels=4, hidden_size=32, depth=3, num_classes=10, num_register_tokens=2):
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = LabelEmbedder(num_classes, hidden_size)
        self.num_register_tokens = num_register_tokens
        self.register_tokens = nn.Parameter(torch.zeros(1, num_register_tokens, hidden_size))
        self.blocks = nn.ModuleList([DiTBlock(hidden_size) for _ in range(depth)])
        self.norm = nn.LayerNorm(hidden_size)
        self.final_layer = FinalLayer(hidden_size, patch_size**2 * in_channels)

    def forward_features(self, x, t, y):
        x = self.x_embedder(x)
        c = self.t_embedder(t) + self.y_embedder(y, self.training)
        x = torch.cat([self.register_tokens.expand(x.shape[0], -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x, c)
        x = self.norm(x)
        return x, c

    def forward_head(self, x, c, h, w):
        x = x[:, self.num_register_tokens :]
        x = self.final_layer(x, c)
        return unpatchify(x, h, w, self.patch_size, self.in_channels)

    def forward(self, x, t, y):
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        x, c = self.forward_features(x, t, y)
        return self.forward_head(x, c, h, w)
