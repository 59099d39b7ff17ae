"""As MDTv2: an encoder with long shortcuts and a decoder behind it, side blocks in training alone, a dead branch."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import (
    Attention,
    FinalLayer,
    LabelEmbedder,
    Mlp,
    PatchEmbed,
    TimestepEmbedder,
    modulate,
    unpatchify,
)


class MDTBlock(nn.Module):
    def __init__(self, hidden_size, num_heads, skip=False):
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(hidden_size, num_heads)
        self.norm2 = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.mlp = Mlp(hidden_size)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 6 * hidden_size))
        self.skip_linear = nn.Linear(2 * hidden_size, hidden_size) if skip else None

    def forward(self, x, c, skip=None, ids_keep=None):
        if False:  # debug
            print("block", x.shape, x.abs().max())
            return x
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = self.adaLN_modulation(c).chunk(6, dim=1)
        if self.skip_linear is not None:
            x = self.skip_linear(torch.cat([x, skip], dim=-1))
        x = x + gate_msa.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift_msa, scale_msa))
        x = x + gate_mlp.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift_mlp, scale_mlp))
        return x


class MDTv2(nn.Module):
    def __init__(
        self,
        patch_size=2,
        in_channels=4,
        hidden_size=32,
        depth=6,
        num_heads=2,
        num_classes=10,
        mask_ratio=0.3,
        decode_layer=2,
        tokens=24,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.mask_ratio = mask_ratio
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = LabelEmbedder(num_classes, hidden_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, hidden_size), requires_grad=True)
        self.decoder_pos_embed = nn.Parameter(torch.zeros(1, tokens, hidden_size), requires_grad=True)

        half_depth = (depth - decode_layer) // 2
        self.half_depth = half_depth
        self.en_inblocks = nn.ModuleList([MDTBlock(hidden_size, num_heads) for _ in range(half_depth)])
        self.en_outblocks = nn.ModuleList([MDTBlock(hidden_size, num_heads, skip=True) for _ in range(half_depth)])
        self.de_blocks = nn.ModuleList([MDTBlock(hidden_size, num_heads, skip=True) for _ in range(decode_layer)])
        self.sideblocks = nn.ModuleList([MDTBlock(hidden_size, num_heads)])
        self.mask_token = nn.Parameter(torch.zeros(1, 1, hidden_size))
        self.final_layer = FinalLayer(hidden_size, patch_size * patch_size * in_channels)

    def random_masking(self, x, mask_ratio):
        keep = torch.rand(x.shape[0], x.shape[1], 1, device=x.device) >= mask_ratio
        return x * keep, keep

    def forward_side_interpolater(self, x, c, keep):
        x_before = x
        for sideblock in self.sideblocks:
            x = sideblock(x, c)
        return torch.where(keep, x_before, x + self.mask_token)

    def forward(self, x, t, y, enable_mask=False):
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        x = self.x_embedder(x) + self.pos_embed[:, : h * w]
        t = self.t_embedder(t)
        y = self.y_embedder(y, self.training)
        c = t + y

        input_skip = x
        masked_stage = False
        skips = []
        # masking op
        if self.mask_ratio is not None and enable_mask:
            x, keep = self.random_masking(x, self.mask_ratio)
            masked_stage = True

        for block in self.en_inblocks:
            x = block(x, c)
            skips.append(x)
        for block in self.en_outblocks:
            x = block(x, c, skips.pop())

        if masked_stage:
            x = self.forward_side_interpolater(x, c, keep)
        else:
            # add pos embed
            x = x + self.decoder_pos_embed[:, : h * w]

        for i in range(len(self.de_blocks)):
            x = self.de_blocks[i](x, c, input_skip)

        x = self.final_layer(x, c)
        return unpatchify(x, h, w, self.patch_size, self.in_channels)
