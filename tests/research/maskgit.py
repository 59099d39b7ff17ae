"""As MaskGIT: tokens of a codebook in, logits over it out, and no time at all but the share that is masked."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import Attention, Mlp


class TransformerLayer(nn.Module):
    def __init__(self, hidden_dim, heads):
        super().__init__()
        self.norm_attn = nn.LayerNorm(hidden_dim)
        self.attn = Attention(hidden_dim, heads)
        self.norm_ff = nn.LayerNorm(hidden_dim)
        self.ff = Mlp(hidden_dim)

    def forward(self, x):
        x = self.attn(self.norm_attn(x)) + x
        x = self.ff(self.norm_ff(x)) + x
        return x


class MaskTransformer(nn.Module):
    def __init__(self, img_size=16, hidden_dim=32, codebook_size=20, depth=3, heads=2, nclass=10):
        super().__init__()
        self.nclass = nclass
        self.codebook_size = codebook_size
        self.tok_emb = nn.Embedding(codebook_size + 1 + nclass + 1, hidden_dim)  # +1 for the mask, +1 for no class
        self.pos_emb = nn.Parameter(torch.zeros(1, img_size + 1, hidden_dim))
        self.ratio_emb = nn.Sequential(nn.Linear(1, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, hidden_dim))
        self.first_layer = nn.Sequential(nn.LayerNorm(hidden_dim), nn.GELU(), nn.Linear(hidden_dim, hidden_dim))
        self.transformer = nn.ModuleList([TransformerLayer(hidden_dim, heads) for _ in range(depth)])
        self.last_layer = nn.Sequential(nn.LayerNorm(hidden_dim), nn.GELU(), nn.Linear(hidden_dim, hidden_dim))
        self.norm = nn.LayerNorm(hidden_dim)
        self.bias = nn.Parameter(torch.zeros(img_size + 1, codebook_size + 1 + nclass + 1))

    def forward(self, img_token, y=None, ratio=None, drop_label=None):
        b, n = img_token.shape
        cls_token = y.view(b, -1) + self.codebook_size + 1  # Shift the class token by the amount of codebook
        if drop_label is not None:
            cls_token = torch.where(drop_label.view(b, -1), self.codebook_size + 1 + self.nclass, cls_token)
        input = torch.cat([img_token.view(b, -1), cls_token], -1)  # concat visual tokens and class tokens
        tok_embeddings = self.tok_emb(input)

        # Position embedding
        pos_embeddings = self.pos_emb[:, : n + 1]
        r = self.ratio_emb(ratio.view(b, 1).to(tok_embeddings.dtype))
        x = tok_embeddings + pos_embeddings + r[:, None]

        # transformer forward pass
        x = self.first_layer(x)
        for layer in self.transformer:
            x = layer(x)
        x = self.last_layer(x)
        x = self.norm(x)
        logit = torch.matmul(x, self.tok_emb.weight.T) + self.bias[: n + 1]  # Shared layer with the embedding
        return logit[:, :n, : self.codebook_size + 1]
