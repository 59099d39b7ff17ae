"""As the wrappers of xDiT: subclasses of a model and of its block that go round `super().forward`."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import DiTBlock, FinalLayer, PatchEmbed, TimestepEmbedder, unpatchify


class RuntimeState:
    patch_mode = False
    num_pipeline_patch = 1


class ParallelDiTBlock(DiTBlock):
    """The block as a stage of a pipeline runs it."""

    runtime_state = RuntimeState()

    def forward(self, x, c):
        if self.runtime_state.patch_mode:
            c = c.contiguous()
        return super().forward(x, c)


class DiT(nn.Module):
    block_class: type[nn.Module] = DiTBlock

    def __init__(self, patch_size=2, in_channels=4, hidden_size=32, depth=3, num_classes=10):
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = nn.Embedding(num_classes, hidden_size)
        self.blocks = nn.ModuleList([self.block_class(hidden_size) for _ in range(depth)])
        self.final_layer = FinalLayer(hidden_size, patch_size**2 * in_channels)

    def forward(self, x, t, y, return_dict=True):
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        x = self.x_embedder(x)
        c = self.t_embedder(t) + self.y_embedder(y)
        for block in self.blocks:
            x = block(x, c)
        x = self.final_layer(x, c)
        x = unpatchify(x, h, w, self.patch_size, self.in_channels)
        return {"sample": x} if return_dict else (x,)


class ParallelDiT(DiT):
    """The velocity instead of the noise, of times between 0 and 1."""

    block_class = ParallelDiTBlock
    num_timesteps = 1000

    def forward(self, x, t, y, guidance=None):
        world_size = 1
        x = torch.cat(x.chunk(world_size, dim=-2)[:1], dim=-2)
        if guidance is not None:
            t = t * (1 + guidance / 100)
        t = t * self.num_timesteps
        output = super().forward(x, t, y, return_dict=False)
        return -output[0]
