"""As EDM: the network predicts F; the forward scales what goes in and mixes what comes out with the noised image."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import DiTBlock, FinalLayer, PatchEmbed, TimestepEmbedder, unpatchify


class EDMDiT(nn.Module):
    """The preconditioning of Karras et al. (2022) and its network in one module."""

    def __init__(
        self, img_channels=4, patch_size=2, hidden_size=32, depth=3, label_dim=5, sigma_min=0.0, sigma_data=0.5
    ):
        super().__init__()
        self.img_channels = img_channels
        self.patch_size = patch_size
        self.label_dim = label_dim
        self.sigma_min = sigma_min
        self.sigma_data = sigma_data
        self.x_embedder = PatchEmbed(patch_size, img_channels, hidden_size)
        self.map_noise = TimestepEmbedder(hidden_size)
        self.map_label = nn.Linear(label_dim, hidden_size) if label_dim else None
        self.blocks = nn.ModuleList([DiTBlock(hidden_size) for _ in range(depth)])
        self.final_layer = FinalLayer(hidden_size, patch_size**2 * img_channels)

    def network(self, x, noise_labels, class_labels):
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        emb = self.map_noise(noise_labels)
        if self.map_label is not None:
            emb = emb + self.map_label(class_labels)
        x = self.x_embedder(x)
        for block in self.blocks:
            x = block(x, emb)
        x = self.final_layer(x, emb)
        return unpatchify(x, h, w, self.patch_size, self.img_channels)

    def forward(self, x, sigma, class_labels=None, force_fp32=False):
        x = x.to(torch.float32)
        sigma = sigma.to(torch.float32).reshape(-1, 1, 1, 1)
        if self.label_dim == 0:
            class_labels = None
        elif class_labels is None:
            class_labels = torch.zeros([x.shape[0], self.label_dim], device=x.device)
        else:
            class_labels = class_labels.to(torch.float32).reshape(-1, self.label_dim)
        dtype = self.final_layer.linear.weight.dtype if not force_fp32 else torch.float32

        c_skip = self.sigma_data**2 / (sigma**2 + self.sigma_data**2)
        c_out = sigma * self.sigma_data / (sigma**2 + self.sigma_data**2).sqrt()
        c_in = 1 / (self.sigma_data**2 + sigma**2).sqrt()
        c_noise = sigma.log() / 4

        F_x = self.network(
            (c_in * x).to(dtype), c_noise.flatten(), None if class_labels is None else class_labels.to(dtype)
        )
        D_x = c_skip * x + c_out * F_x.to(torch.float32)
        return D_x

    def round_sigma(self, sigma):
        return torch.as_tensor(sigma)
