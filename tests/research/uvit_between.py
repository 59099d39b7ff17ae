"""As E2-TTS and its kin: between blocks of the second half a Linear takes in what the first half has put aside."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import DiTBlock, FinalLayer, TimestepEmbedder


class InputEmbedding(nn.Module):
    def __init__(self, mel_dim, text_dim, out_dim):
        super().__init__()
        self.proj = nn.Linear(mel_dim * 2 + text_dim, out_dim)

    def forward(self, x, cond, text_embed, drop_audio_cond=False):
        if drop_audio_cond:  # cfg for cond audio
            cond = torch.zeros_like(cond)
        return self.proj(torch.cat((x, cond, text_embed), dim=-1))


class UNetT(nn.Module):
    def __init__(self, *, dim=32, depth=4, heads=2, mel_dim=6, text_num_embeds=12, text_dim=8):
        super().__init__()
        assert depth % 2 == 0, "UNet-Transformer's depth should be even."

        self.time_embed = TimestepEmbedder(dim)
        self.text_embed = nn.Embedding(text_num_embeds + 1, text_dim)  # use 0 as filler token
        self.input_embed = InputEmbedding(mel_dim, text_dim, dim)
        self.depth = depth
        self.layers = nn.ModuleList([DiTBlock(dim, heads) for _ in range(depth)])
        self.skip_projs = nn.ModuleList([nn.Linear(dim * 2, dim, bias=False) for _ in range(depth // 2)])
        self.final_layer = FinalLayer(dim, mel_dim)

    def forward(
        self,
        x,  # nosied input audio
        cond,  # masked cond audio
        text,  # text
        time,  # time step
        drop_audio_cond=False,  # cfg for cond audio
        drop_text=False,  # cfg for text
    ):
        batch, seq_len = x.shape[0], x.shape[1]
        if time.ndim == 0:
            time = time.repeat(batch)

        # t: conditioning time, c: context (text + masked cond audio), x: noised input audio
        t = self.time_embed(time)
        text = text + 1
        text = text[:, :seq_len]
        if drop_text:  # cfg for text
            text = torch.zeros_like(text)
        text_embed = self.text_embed(text)
        x = self.input_embed(x, cond, text_embed, drop_audio_cond=drop_audio_cond)

        # flat unet transformer
        skips = []
        for idx, block in enumerate(self.layers):
            layer = idx + 1
            # skip connection logic
            is_first_half = layer <= (self.depth // 2)
            if is_first_half:
                skips.append(x)
            else:
                skip = skips.pop()
                x = torch.cat((x, skip), dim=-1)
                x = self.skip_projs[layer - self.depth // 2 - 1](x)
            x = block(x, t)

        assert len(skips) == 0
        return self.final_layer(x, t)
