"""As models of several modalities do it: a dict holds all streams and conditions, and each block returns a new one."""

from __future__ import annotations

import torch
import torch.nn as nn

from tests.research.layers import CrossAttention, DiTBlock, FinalLayer, TimestepEmbedder


class MultiModalBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.video = DiTBlock(dim)
        self.audio = DiTBlock(dim)
        self.to_video = CrossAttention(dim)

    def forward(self, state):
        video = self.video(state["video"], state["vec"])
        audio = self.audio(state["audio"], state["vec"])
        return {**state, "video": video + self.to_video(video, audio), "audio": audio}


class AudioVideoDiT(nn.Module):
    def __init__(self, channels=4, audio_channels=3, dim=32, depth=3):
        super().__init__()
        self.video_in = nn.Linear(channels, dim)
        self.audio_in = nn.Linear(audio_channels, dim)
        self.t_embedder = TimestepEmbedder(dim)
        self.text_in = nn.Linear(12, dim)
        self.blocks = nn.ModuleList([MultiModalBlock(dim) for _ in range(depth)])
        self.video_out = FinalLayer(dim, channels)
        self.audio_out = FinalLayer(dim, audio_channels)

    def forward(self, batch, t):
        """batch: a dict of `video` (B, L, C), `audio` (B, M, A) and `text` (B, 12)."""
        vec = self.t_embedder(t) + self.text_in(batch["text"])
        state = {"video": self.video_in(batch["video"]), "audio": self.audio_in(batch["audio"]), "vec": vec}
        for block in self.blocks:
            state = block(state)
        return {"video": self.video_out(state["video"], vec), "audio": torch.tanh(self.audio_out(state["audio"], vec))}
