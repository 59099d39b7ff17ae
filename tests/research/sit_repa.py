"""As REPA's SiT: features of a block in the middle are projected and returned; the block is called through a method."""

from __future__ import annotations

import torch.nn as nn
from torch.utils.checkpoint import checkpoint

from tests.research.layers import DiTBlock, FinalLayer, LabelEmbedder, PatchEmbed, TimestepEmbedder, unpatchify


def build_mlp(hidden_size, projector_dim, z_dim):
    return nn.Sequential(nn.Linear(hidden_size, projector_dim), nn.SiLU(), nn.Linear(projector_dim, z_dim))


class SiT(nn.Module):
    def __init__(
        self, patch_size=2, in_channels=4, hidden_size=32, depth=3, num_classes=10, encoder_depth=2, z_dims=(8, 4)
    ):
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.encoder_depth = encoder_depth
        self.use_checkpoint = False
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = LabelEmbedder(num_classes, hidden_size)
        self.blocks = nn.ModuleList([DiTBlock(hidden_size) for _ in range(depth)])
        self.projectors = nn.ModuleList([build_mlp(hidden_size, 16, z_dim) for z_dim in z_dims])
        self.final_layer = FinalLayer(hidden_size, patch_size**2 * in_channels)

    def _call_block(self, block, x, c):
        if self.use_checkpoint and self.training:
            return checkpoint(block, x, c, use_reentrant=False)
        return block(x, c)

    def forward(self, x, t, y, return_features=False):
        """
        Forward pass of SiT.
        x: (N, C, H, W) tensor of spatial inputs (images or latent representations of images)
        t: (N,) tensor of diffusion timesteps
        y: (N,) tensor of class labels
        """
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        x = self.x_embedder(x)
        N, T, D = x.shape

        # timestep and class embedding
        t_embed = self.t_embedder(t)
        y = self.y_embedder(y, self.training)
        c = t_embed + y

        zs = None
        for i, block in enumerate(self.blocks):
            x = self._call_block(block, x, c)
            if (i + 1) == self.encoder_depth and return_features:
                zs = [projector(x.reshape(-1, D)).reshape(N, T, -1) for projector in self.projectors]
        x = self.final_layer(x, c)
        x = unpatchify(x, h, w, self.patch_size, self.in_channels)
        return (x, zs) if return_features else x
