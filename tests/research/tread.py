"""As TREAD and SPRINT: the list of blocks is cut in three, and tokens may take a route around the middle one."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import DiTBlock, FinalLayer, LabelEmbedder, PatchEmbed, TimestepEmbedder, unpatchify


class Router:
    def __init__(self, selection_ratio=0.5):
        self.selection_ratio = selection_ratio

    def get_mask(self, x):
        keep = max(1, int(x.shape[1] * (1 - self.selection_ratio)))
        return x.square().sum(-1).argsort(dim=1, descending=True)[:, :keep, None].expand(-1, -1, x.shape[-1])

    def start_route(self, x, ids_keep):
        return torch.gather(x, 1, ids_keep)

    def end_route(self, x, ids_keep, original_x):
        return original_x.scatter(1, ids_keep, x)


class RoutedDiT(nn.Module):
    def __init__(
        self, patch_size=2, in_channels=4, hidden_size=32, depth=4, num_classes=10, route_start=1, route_end=3
    ):
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.route_start = route_start
        self.route_end = route_end
        self.router = Router()
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = LabelEmbedder(num_classes, hidden_size)
        self.blocks = nn.ModuleList([DiTBlock(hidden_size) for _ in range(depth)])
        self.final_layer = FinalLayer(hidden_size, patch_size**2 * in_channels)

    def forward(self, x, t, y, use_routing=False):
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        x = self.x_embedder(x)
        c = self.t_embedder(t) + self.y_embedder(y, self.training)

        for block in self.blocks[: self.route_start]:
            x = block(x, c)

        if use_routing:
            ids_keep = self.router.get_mask(x)
            original_x = x
            x = self.router.start_route(x, ids_keep)
        for block in self.blocks[self.route_start : self.route_end]:
            x = block(x, c)
        if use_routing:
            x = self.router.end_route(x, ids_keep, original_x)

        for block in self.blocks[self.route_end :]:
            x = block(x, c)

        x = self.final_layer(x, c)
        return unpatchify(x, h, w, self.patch_size, self.in_channels)
