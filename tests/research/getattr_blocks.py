"""Blocks that are attributes of their own, as in code that grew out of a U-Net: `getattr(self, f"block_{i}")`."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import DiTBlock, FinalLayer, PatchEmbed, TimestepEmbedder, unpatchify


class NumberedDiT(nn.Module):
    def __init__(self, patch_size=2, in_channels=4, hidden_size=32, depth=3, num_classes=10):
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.depth = depth
        self.num_classes = num_classes
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = nn.Embedding(num_classes, hidden_size)
        for i in range(depth):
            setattr(self, f"block_{i}", DiTBlock(hidden_size))
        self.final_layer = FinalLayer(hidden_size, patch_size**2 * in_channels)

    def forward(self, x, t, y):
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        x = self.x_embedder(x)
        c = self.t_embedder(t) + self.y_embedder(y)
        for i in range(self.depth):
            x = getattr(self, f"block_{i}")(x, c)
        x = self.final_layer(x, c)
        return unpatchify(x, h, w, self.patch_size, self.in_channels)

    def forward_with_cfg(self, x, t, y, cfg_scale):
        """The last class stands for none."""
        x = torch.cat([x, x], dim=0)
        t = torch.cat([t, t], dim=0)
        y = torch.cat([y, torch.full_like(y, self.num_classes - 1)], dim=0)
        cond, uncond = self.forward(x, t, y).chunk(2, dim=0)
        return uncond + cfg_scale * (cond - uncond)
