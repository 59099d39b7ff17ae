"""As U-ViT (Bao et al.): the outputs of the first half are put aside and each joins a block of the second half."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.utils.checkpoint

from tests.research.layers import Attention, Mlp, timestep_embedding


def unpatchify(x, channels, h, w):
    patch_size = int((x.shape[2] // channels) ** 0.5)
    B, L, C = x.shape
    x = x.reshape(B, h, w, patch_size, patch_size, channels).permute(0, 5, 1, 3, 2, 4)
    return x.reshape(B, channels, h * patch_size, w * patch_size)


class Block(nn.Module):
    def __init__(self, dim, num_heads, skip=False, use_checkpoint=False):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim)
        self.skip_linear = nn.Linear(2 * dim, dim) if skip else None
        self.use_checkpoint = use_checkpoint

    def forward(self, x, skip=None):
        if self.use_checkpoint:
            return torch.utils.checkpoint.checkpoint(self._forward, x, skip)
        else:
            return self._forward(x, skip)

    def _forward(self, x, skip=None):
        if self.skip_linear is not None:
            x = self.skip_linear(torch.cat([x, skip], dim=-1))
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x


class UViT(nn.Module):
    def __init__(
        self, patch_size=2, in_chans=4, embed_dim=32, depth=4, num_heads=2, num_classes=10, tokens=24, conv=True
    ):
        super().__init__()
        self.embed_dim = embed_dim
        self.num_classes = num_classes
        self.in_chans = in_chans

        self.patch_embed = nn.Conv2d(in_chans, embed_dim, patch_size, patch_size)
        if self.num_classes > 0:
            self.label_emb = nn.Embedding(self.num_classes, embed_dim)
            self.extras = 2
        else:
            self.extras = 1
        self.pos_embed = nn.Parameter(torch.zeros(1, self.extras + tokens, embed_dim))

        self.in_blocks = nn.ModuleList([Block(embed_dim, num_heads) for _ in range(depth // 2)])
        self.mid_block = Block(embed_dim, num_heads)
        self.out_blocks = nn.ModuleList([Block(embed_dim, num_heads, skip=True) for _ in range(depth // 2)])

        self.norm = nn.LayerNorm(embed_dim)
        self.patch_dim = patch_size**2 * in_chans
        self.decoder_pred = nn.Linear(embed_dim, self.patch_dim, bias=True)
        self.final_layer = nn.Conv2d(self.in_chans, self.in_chans, 3, padding=1) if conv else nn.Identity()

    def forward(self, x, timesteps, y=None):
        x = self.patch_embed(x)
        B, D, H, W = x.shape
        x = x.flatten(2).transpose(1, 2)
        L = x.shape[1]

        time_token = timestep_embedding(timesteps, self.embed_dim).to(x.dtype)
        time_token = time_token.unsqueeze(dim=1)
        x = torch.cat((time_token, x), dim=1)
        if y is not None:
            label_emb = self.label_emb(y)
            label_emb = label_emb.unsqueeze(dim=1)
            x = torch.cat((label_emb, x), dim=1)
        x = x + self.pos_embed[:, : x.shape[1]]

        skips = []
        for blk in self.in_blocks:
            x = blk(x)
            skips.append(x)

        x = self.mid_block(x)

        for blk in self.out_blocks:
            x = blk(x, skips.pop())

        x = self.norm(x)
        x = self.decoder_pred(x)
        assert x.size(1) == self.extras + L or y is None
        x = x[:, x.shape[1] - L :, :]
        x = unpatchify(x, self.in_chans, H, W)
        x = self.final_layer(x)
        return x
