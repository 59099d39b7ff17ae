"""As Lumina-Next: lists of images of any size in and out, padded to one length, and rope over their patches."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F

from tests.research.layers import Mlp, TimestepEmbedder, timestep_embedding


def modulate(x, scale):
    return x * (1 + scale.unsqueeze(1))


class JointAttention(nn.Module):
    def __init__(self, dim, n_heads, y_dim):
        super().__init__()
        self.n_heads = n_heads
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.wk_y, self.wv_y = nn.Linear(y_dim, dim, bias=False), nn.Linear(y_dim, dim, bias=False)
        self.gate = nn.Parameter(torch.zeros([n_heads]))

    def heads(self, x):
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def forward(self, x, x_mask, freqs_cis, y, y_mask):
        q, k, v = (self.heads(layer(x)) for layer in (self.wq, self.wk, self.wv))
        q, k = q * freqs_cis[:, None], k * freqs_cis[:, None]
        output = F.scaled_dot_product_attention(q, k, v, attn_mask=x_mask[:, None, None].bool())
        yk, yv = self.heads(self.wk_y(y)), self.heads(self.wv_y(y))
        output_y = F.scaled_dot_product_attention(q, yk, yv, attn_mask=y_mask[:, None, None].bool())
        output = output + output_y * self.gate.tanh().view(1, -1, 1, 1)
        return self.wo(output.transpose(1, 2).flatten(-2))


class TransformerBlock(nn.Module):
    def __init__(self, layer_id, dim, n_heads, y_dim):
        super().__init__()
        self.layer_id = layer_id
        self.attention = JointAttention(dim, n_heads, y_dim)
        self.feed_forward = Mlp(dim)
        self.attention_norm1, self.attention_norm2 = nn.RMSNorm(dim, eps=1e-5), nn.RMSNorm(dim, eps=1e-5)
        self.ffn_norm1, self.ffn_norm2 = nn.RMSNorm(dim, eps=1e-5), nn.RMSNorm(dim, eps=1e-5)
        self.attention_y_norm = nn.RMSNorm(y_dim, eps=1e-5)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 4 * dim))

    def forward(self, x, x_mask, y, y_mask, freqs_cis, adaln_input=None):
        if adaln_input is not None:
            scale_msa, gate_msa, scale_mlp, gate_mlp = self.adaLN_modulation(adaln_input).chunk(4, dim=1)
            x = x + gate_msa.unsqueeze(1).tanh() * self.attention_norm2(
                self.attention(
                    modulate(self.attention_norm1(x), scale_msa), x_mask, freqs_cis, self.attention_y_norm(y), y_mask
                )
            )
            x = x + gate_mlp.unsqueeze(1).tanh() * self.ffn_norm2(
                self.feed_forward(modulate(self.ffn_norm1(x), scale_mlp))
            )
        else:
            x = x + self.attention_norm2(
                self.attention(self.attention_norm1(x), x_mask, freqs_cis, self.attention_y_norm(y), y_mask)
            )
            x = x + self.ffn_norm2(self.feed_forward(self.ffn_norm1(x)))
        return x


class FinalLayer(nn.Module):
    def __init__(self, hidden_size, out_channels):
        super().__init__()
        self.norm_final = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(hidden_size, out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, hidden_size))

    def forward(self, x, c):
        return self.linear(modulate(self.norm_final(x), self.adaLN_modulation(c)))


class NextDiT(nn.Module):
    def __init__(self, patch_size=2, in_channels=4, dim=32, n_layers=3, n_heads=2, learn_sigma=True, cap_feat_dim=12):
        super().__init__()
        self.in_channels = in_channels
        self.learn_sigma = learn_sigma
        self.out_channels = in_channels * 2 if learn_sigma else in_channels
        self.patch_size = patch_size
        self.x_embedder = nn.Linear(patch_size * patch_size * in_channels, dim)
        self.t_embedder = TimestepEmbedder(dim)
        self.cap_embedder = nn.Sequential(nn.LayerNorm(cap_feat_dim), nn.Linear(cap_feat_dim, dim))
        self.layers = nn.ModuleList([TransformerBlock(i, dim, n_heads, cap_feat_dim) for i in range(n_layers)])
        self.final_layer = FinalLayer(dim, patch_size * patch_size * self.out_channels)
        self.pad_token = nn.Parameter(torch.empty(dim))
        self.head_dim = dim // n_heads

    def unpatchify(self, x, img_size, return_tensor=False):
        pH = pW = self.patch_size
        imgs = []
        for i in range(x.size(0)):
            H, W = img_size[i]
            L = (H // pH) * (W // pW)
            img = x[i][:L].view(H // pH, W // pW, pH, pW, self.out_channels).permute(4, 0, 2, 1, 3)
            imgs.append(img.flatten(3, 4).flatten(1, 2))
        return torch.stack(imgs, dim=0) if return_tensor else imgs

    def patchify_and_embed(self, x):
        pH = pW = self.patch_size
        x_embed, freqs_cis, img_size, l_effective_seq_len = [], [], [], []
        for img in x:
            C, H, W = img.size()
            item = img.view(C, H // pH, pH, W // pW, pW).permute(1, 3, 2, 4, 0).flatten(2).flatten(0, 1)
            x_embed.append(self.x_embedder(item))
            img_size.append((H, W))
            l_effective_seq_len.append(len(item))
            freqs_cis.append(
                timestep_embedding(torch.arange(len(item), device=img.device), self.head_dim).to(img.dtype)
            )
        max_seq_len = max(l_effective_seq_len)
        mask = torch.zeros(len(x), max_seq_len, dtype=torch.int32, device=x[0].device)
        padded_x_embed, padded_freqs_cis = [], []
        for i, (item_embed, item_freqs, item_len) in enumerate(zip(x_embed, freqs_cis, l_effective_seq_len)):
            padding = self.pad_token.view(1, -1).expand(max_seq_len - item_len, -1)
            padded_x_embed.append(torch.cat([item_embed, padding], dim=0))
            padded_freqs_cis.append(F.pad(item_freqs, (0, 0, 0, max_seq_len - item_len)))
            mask[i][:item_len] = 1
        return torch.stack(padded_x_embed, dim=0), mask, img_size, torch.stack(padded_freqs_cis, dim=0)

    def forward(self, x, t, cap_feats, cap_mask):
        """x: images of any size, t: (N,) timesteps, cap_feats: (N, L, D) captions with cap_mask: (N, L)."""
        x_is_tensor = isinstance(x, torch.Tensor)
        x, mask, img_size, freqs_cis = self.patchify_and_embed(x)

        t = self.t_embedder(t)  # (N, D)
        cap_mask_float = cap_mask.float().unsqueeze(-1)
        cap_feats_pool = (cap_feats * cap_mask_float).sum(dim=1) / cap_mask_float.sum(dim=1)
        cap_feats_pool = cap_feats_pool.to(cap_feats)
        cap_emb = self.cap_embedder(cap_feats_pool)
        adaln_input = t + cap_emb

        cap_mask = cap_mask.bool()
        for layer in self.layers:
            x = layer(x, mask, cap_feats, cap_mask, freqs_cis, adaln_input=adaln_input)

        x = self.final_layer(x, adaln_input)
        x = self.unpatchify(x, img_size, return_tensor=x_is_tensor)
        if self.learn_sigma:
            if x_is_tensor:
                x, _ = x.chunk(2, dim=1)
            else:
                x = [_.chunk(2, dim=0)[0] for _ in x]
        return x
