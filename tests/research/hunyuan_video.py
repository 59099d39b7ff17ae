"""As Tencent's HunyuanVideo: the arguments of each block are put into a list and spread, the result into a dict."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import Attention, DiTBlock, FinalLayer, Mlp, TimestepEmbedder


def modulate(x, shift=None, scale=None):
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


def apply_gate(x, gate=None):
    return x * gate.unsqueeze(1)


class MMDoubleStreamBlock(nn.Module):
    def __init__(self, hidden_size, heads_num):
        super().__init__()
        self.img_mod = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 6 * hidden_size))
        self.img_norm1 = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.img_norm2 = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.img_mlp = Mlp(hidden_size)
        self.txt_mod = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 6 * hidden_size))
        self.txt_norm1 = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.txt_norm2 = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.txt_mlp = Mlp(hidden_size)
        self.attn = Attention(hidden_size, heads_num)

    def forward(self, img, txt, vec, txt_mask=None, freqs_cis=None):
        (
            img_mod1_shift,
            img_mod1_scale,
            img_mod1_gate,
            img_mod2_shift,
            img_mod2_scale,
            img_mod2_gate,
        ) = self.img_mod(vec).chunk(6, dim=-1)
        txt_mod = self.txt_mod(vec).chunk(6, dim=-1)

        img_modulated = self.img_norm1(img)
        img_modulated = modulate(img_modulated, shift=img_mod1_shift, scale=img_mod1_scale)
        if freqs_cis is not None:
            img_modulated = img_modulated * freqs_cis[0] + img_modulated.flip(-1) * freqs_cis[1]
        txt_modulated = modulate(self.txt_norm1(txt), shift=txt_mod[0], scale=txt_mod[1])
        attn = self.attn(torch.cat((img_modulated, txt_modulated), dim=1), txt_mask)
        img_attn, txt_attn = attn[:, : img.shape[1]], attn[:, img.shape[1] :]

        img = img + apply_gate(img_attn, gate=img_mod1_gate)
        img = img + apply_gate(
            self.img_mlp(modulate(self.img_norm2(img), shift=img_mod2_shift, scale=img_mod2_scale)), gate=img_mod2_gate
        )
        txt = txt + apply_gate(txt_attn, gate=txt_mod[2])
        txt = txt + apply_gate(self.txt_mlp(modulate(self.txt_norm2(txt), txt_mod[3], txt_mod[4])), gate=txt_mod[5])
        return img, txt


class SingleTokenRefiner(nn.Module):
    def __init__(self, in_channels, hidden_size, depth):
        super().__init__()
        self.input_embedder = nn.Linear(in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.c_embedder = nn.Linear(in_channels, hidden_size)
        self.blocks = nn.ModuleList([DiTBlock(hidden_size) for _ in range(depth)])

    def forward(self, x, t, mask=None):
        timestep_aware_representations = self.t_embedder(t)
        mask_float = mask.to(x.dtype).unsqueeze(-1)
        context_aware_representations = (x * mask_float).sum(dim=1) / mask_float.sum(dim=1)
        c = timestep_aware_representations + self.c_embedder(context_aware_representations)
        x = self.input_embedder(x)
        for block in self.blocks:
            x = block(x, c)
        return x


class HYVideoDiffusionTransformer(nn.Module):
    def __init__(self, in_channels=4, hidden_size=32, mm_double=2, mm_single=2, text_states_dim=12, guidance=True):
        super().__init__()
        self.patch_size = (1, 2, 2)
        self.out_channels = in_channels
        self.guidance_embed = guidance
        self.img_in = nn.Conv3d(in_channels, hidden_size, (1, 2, 2), (1, 2, 2))
        self.txt_in = SingleTokenRefiner(text_states_dim, hidden_size, depth=1)
        self.time_in = TimestepEmbedder(hidden_size)
        self.guidance_in = TimestepEmbedder(hidden_size) if guidance else None
        self.double_blocks = nn.ModuleList([MMDoubleStreamBlock(hidden_size, 2) for _ in range(mm_double)])
        self.single_blocks = nn.ModuleList([DiTBlock(hidden_size, 2) for _ in range(mm_single)])
        self.final_layer = FinalLayer(hidden_size, 4 * in_channels)

    def unpatchify(self, x, t, h, w):
        c, (pt, ph, pw) = self.out_channels, self.patch_size
        x = x.reshape(shape=(x.shape[0], t, h, w, c, pt, ph, pw))
        x = torch.einsum("nthwcopq->nctohpwq", x)
        return x.reshape(shape=(x.shape[0], c, t * pt, h * ph, w * pw))

    def forward(self, x, t, text_states, text_mask, freqs_cos=None, freqs_sin=None, guidance=None, return_dict=True):
        out = {}
        img = x
        txt = text_states
        _, _, ot, oh, ow = x.shape
        tt, th, tw = ot // self.patch_size[0], oh // self.patch_size[1], ow // self.patch_size[2]

        # Prepare modulation vectors.
        vec = self.time_in(t)
        # guidance modulation
        if self.guidance_embed:
            if guidance is None:
                raise ValueError("Didn't get guidance strength for guidance distilled model.")
            vec = vec + self.guidance_in(guidance)

        # Embed image and text.
        img = self.img_in(img).flatten(2).transpose(1, 2)
        txt = self.txt_in(txt, t, text_mask)
        txt_seq_len = txt.shape[1]
        img_seq_len = img.shape[1]

        freqs_cis = (freqs_cos, freqs_sin) if freqs_cos is not None else None
        # --------------------- Pass through DiT blocks ------------------------
        for _, block in enumerate(self.double_blocks):
            double_block_args = [img, txt, vec, None, freqs_cis]
            img, txt = block(*double_block_args)

        # Merge txt and img to pass through single stream blocks.
        x = torch.cat((img, txt), 1)
        if len(self.single_blocks) > 0:
            for _, block in enumerate(self.single_blocks):
                single_block_args = [x, vec]
                x = block(*single_block_args)

        img = x[:, :img_seq_len, ...]

        # ---------------------------- Final layer ------------------------------
        img = self.final_layer(img, vec)  # (N, T, patch_size ** 2 * out_channels)

        img = self.unpatchify(img, tt, th, tw)
        if return_dict:
            out["x"] = img
            out["txt_seq_len"] = txt_seq_len
            return out
        return img
