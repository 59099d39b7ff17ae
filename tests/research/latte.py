"""As Latte: blocks of space and of time take turns, two in each step of the loop, the tokens rearranged in between."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import (
    DiTBlock,
    FinalLayer,
    LabelEmbedder,
    PatchEmbed,
    TimestepEmbedder,
    position_embedding,
    timestep_embedding,
    unpatchify,
)


class Latte(nn.Module):
    """Diffusion model with a Transformer backbone, of videos."""

    def __init__(self, patch_size=2, in_channels=4, hidden_size=32, depth=4, num_heads=2, num_classes=10, extras=2):
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.hidden_size = hidden_size
        self.extras = extras
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        if self.extras == 2:
            self.y_embedder = LabelEmbedder(num_classes, hidden_size)
        self.blocks = nn.ModuleList([DiTBlock(hidden_size, num_heads) for _ in range(depth)])
        self.final_layer = FinalLayer(hidden_size, patch_size**2 * in_channels)

    def ckpt_wrapper(self, module):
        def ckpt_forward(*inputs):
            outputs = module(*inputs)
            return outputs

        return ckpt_forward

    def forward(self, x, t, y=None, use_image_num=0):
        """
        x: (N, F, C, H, W) tensor of video inputs
        t: (N,) tensor of diffusion timesteps
        y: (N,) tensor of class labels
        """
        batches, frames, channels, high, weight = x.shape
        h, w = high // self.patch_size, weight // self.patch_size
        x = x.reshape(batches * frames, channels, high, weight)
        x = self.x_embedder(x) + position_embedding(self.hidden_size, h, w, x.device).to(x.dtype)
        t = self.t_embedder(t)
        timestep_spatial = t.repeat_interleave(frames, dim=0)
        timestep_temp = t.repeat_interleave(h * w, dim=0)

        if self.extras == 2:
            y = self.y_embedder(y, self.training)
            y_spatial = y.repeat_interleave(frames, dim=0)
            y_temp = y.repeat_interleave(h * w, dim=0)

        for i in range(0, len(self.blocks), 2):
            spatial_block, temp_block = self.blocks[i : i + 2]
            c = timestep_spatial + y_spatial if self.extras == 2 else timestep_spatial
            x = spatial_block(x, c)

            # (b f) t d -> (b t) f d
            x = x.reshape(batches, frames, h * w, -1).transpose(1, 2).reshape(batches * h * w, frames, -1)
            # Add Time Embedding
            if i == 0:
                x = x + timestep_embedding(torch.arange(frames, device=x.device), self.hidden_size).to(x.dtype)
            c = timestep_temp + y_temp if self.extras == 2 else timestep_temp
            x = temp_block(x, c)
            # (b t) f d -> (b f) t d
            x = x.reshape(batches, h * w, frames, -1).transpose(1, 2).reshape(batches * frames, h * w, -1)

        c = timestep_spatial + y_spatial if self.extras == 2 else timestep_spatial
        x = self.final_layer(x, c)
        x = unpatchify(x, h, w, self.patch_size, self.in_channels)
        return x.reshape(batches, frames, -1, high, weight)
