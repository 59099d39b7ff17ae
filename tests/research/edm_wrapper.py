"""As EDMPrecond around an architecture of its own: the blocks are a submodule's, whose forward iterates them."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import DiTBlock, FinalLayer, PatchEmbed, TimestepEmbedder, unpatchify


class DenoisingTransformer(nn.Module):
    def __init__(self, img_channels=4, patch_size=2, hidden_size=32, depth=3, num_classes=10):
        super().__init__()
        self.img_channels = img_channels
        self.patch_size = patch_size
        self.x_embedder = PatchEmbed(patch_size, img_channels, hidden_size)
        self.map_noise = TimestepEmbedder(hidden_size)
        self.map_label = nn.Embedding(num_classes, hidden_size)
        self.blocks = nn.ModuleList([DiTBlock(hidden_size) for _ in range(depth)])
        self.final_layer = FinalLayer(hidden_size, patch_size**2 * img_channels)

    def forward(self, x, noise_labels, class_labels=None):
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        emb = self.map_noise(noise_labels)
        if class_labels is not None:
            emb = emb + self.map_label(class_labels)
        x = self.x_embedder(x)
        for block in self.blocks:
            x = block(x, emb)
        x = self.final_layer(x, emb)
        return unpatchify(x, h, w, self.patch_size, self.img_channels)


class EDMPrecond(nn.Module):
    def __init__(self, sigma_data=0.5, **model_kwargs):
        super().__init__()
        self.sigma_data = sigma_data
        self.model = DenoisingTransformer(**model_kwargs)

    def forward(self, x, sigma, class_labels=None):
        x = x.to(torch.float32)
        sigma = sigma.to(torch.float32).reshape(-1, 1, 1, 1)
        dtype = next(self.model.parameters()).dtype

        c_skip = self.sigma_data**2 / (sigma**2 + self.sigma_data**2)
        c_out = sigma * self.sigma_data / (sigma**2 + self.sigma_data**2).sqrt()
        c_in = 1 / (self.sigma_data**2 + sigma**2).sqrt()
        c_noise = sigma.log() / 4

        F_x = self.model((c_in * x).to(dtype), c_noise.flatten(), class_labels)
        D_x = c_skip * x + c_out * F_x.to(torch.float32)
        return D_x
