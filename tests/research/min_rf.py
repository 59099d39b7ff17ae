"""As minRF and other toys of rectified flow: convolutions in front, a long skip from the embedding to the head."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F

from tests.research.layers import (
    Attention,
    FinalLayer,
    LabelEmbedder,
    TimestepEmbedder,
    modulate,
    timestep_embedding,
)


class FeedForward(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.w1 = nn.Linear(dim, hidden_dim, bias=False)
        self.w2 = nn.Linear(hidden_dim, dim, bias=False)
        self.w3 = nn.Linear(dim, hidden_dim, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class TransformerBlock(nn.Module):
    def __init__(self, layer_id, dim, n_heads):
        super().__init__()
        self.layer_id = layer_id
        self.attention = Attention(dim, n_heads)
        self.feed_forward = FeedForward(dim, 2 * dim)
        self.attention_norm = nn.LayerNorm(dim, eps=1e-5)
        self.ffn_norm = nn.LayerNorm(dim, eps=1e-5)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim, bias=True))

    def forward(self, x, freqs_cis, adaln_input=None):
        if adaln_input is not None:
            shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = self.adaLN_modulation(adaln_input).chunk(
                6, dim=1
            )
            x = x + gate_msa.unsqueeze(1) * self.attention(
                modulate(self.attention_norm(x), shift_msa, scale_msa) * freqs_cis
            )
            x = x + gate_mlp.unsqueeze(1) * self.feed_forward(modulate(self.ffn_norm(x), shift_mlp, scale_mlp))
        else:
            x = x + self.attention(self.attention_norm(x) * freqs_cis)
            x = x + self.feed_forward(self.ffn_norm(x))
        return x


class DiT_Llama(nn.Module):
    def __init__(self, in_channels=3, patch_size=2, dim=32, n_layers=3, n_heads=2, num_classes=10):
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.dim = dim
        self.init_conv_seq = nn.Sequential(
            nn.Conv2d(in_channels, dim // 2, kernel_size=5, padding=2, stride=1), nn.SiLU(), nn.GroupNorm(4, dim // 2)
        )
        self.x_embedder = nn.Linear(patch_size * patch_size * dim // 2, dim, bias=True)
        self.t_embedder = TimestepEmbedder(dim)
        self.y_embedder = LabelEmbedder(num_classes, dim)
        self.layers = nn.ModuleList([TransformerBlock(layer_id, dim, n_heads) for layer_id in range(n_layers)])
        self.long_skip = True
        self.final_layer = FinalLayer(dim, patch_size * patch_size * in_channels)

    def unpatchify(self, x, h, w):
        c, p = self.in_channels, self.patch_size
        x = x.reshape(shape=(x.shape[0], h, w, p, p, c))
        x = torch.einsum("nhwpqc->nchpwq", x)
        return x.reshape(shape=(x.shape[0], c, h * p, w * p))

    def patchify(self, x):
        B, C, H, W = x.size()
        p = self.patch_size
        x = x.view(B, C, H // p, p, W // p, p)
        return x.permute(0, 2, 4, 1, 3, 5).flatten(-3).flatten(1, 2)

    def forward(self, x, t, y):
        h, w = x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size
        freqs_cis = timestep_embedding(torch.arange(h * w, device=x.device), self.dim).to(x.dtype)

        x = self.init_conv_seq(x)
        x = self.patchify(x)
        x = self.x_embedder(x)
        x0 = x

        t = self.t_embedder(t)  # (N, D)
        y = self.y_embedder(y, self.training)  # (N, D)
        adaln_input = t.to(x.dtype) + y.to(x.dtype)

        for layer in self.layers:
            x = layer(x, freqs_cis, adaln_input=adaln_input)

        if self.long_skip:
            x = x + x0
        x = self.final_layer(x, adaln_input)
        x = self.unpatchify(x, h, w)  # (N, out_channels, H, W)
        return x
