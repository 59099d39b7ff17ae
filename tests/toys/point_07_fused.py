"""Point 7: fused blocks. Their parts are called one by one, their arguments are spread, a stream may be missing."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import TEXT_CHANNELS, WIDTH, Attention, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()


class Parts(nn.Module):
    """What one stream of a fused block consists of. Nobody calls it as a whole."""

    def __init__(self):
        super().__init__()
        self.modulation = nn.Linear(WIDTH, 2 * WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.attn = Attention()


def _shifted(normed, shift, scale):
    return normed * (1 + scale[:, None]) + shift[:, None]


class FusedBlock(nn.Module):
    """Two streams with their own parts; either may be missing, as far as this block knows."""

    def __init__(self):
        super().__init__()
        self.video = Parts()
        self.audio = Parts()
        self.cross = Attention()

    def forward(self, vis, aud, emb, rope=None):
        video_emb, audio_emb = emb
        if vis is not None:  # either may be missing
            shift, scale = self.video.modulation(video_emb).chunk(2, dim=-1)
            vis = vis + self.video.attn(_shifted(self.video.norm1(vis), shift, scale), image_rotary_emb=rope)
        if aud is not None:
            shift, scale = self.audio.modulation(audio_emb).chunk(2, dim=-1)
            aud = aud + self.audio.attn(_shifted(self.audio.norm1(aud), shift, scale))
            if vis is not None:
                vis, aud = vis + self.cross(vis, aud), aud + self.cross(aud, vis)
        return vis, aud


class FusedModel(SingleModel):
    """Video and audio, embedded each in its own way, without a forward."""

    def __init__(self):
        super().__init__()
        self.audio_embedder = nn.Linear(TEXT_CHANNELS, WIDTH)
        self.audio_time_embed = nn.Linear(1, WIDTH)
        self.transformer_blocks = nn.ModuleList([FusedBlock() for _ in range(2)])
        self.audio_out = nn.Linear(WIDTH, TEXT_CHANNELS)


FUSED = {
    "norm": "transformer_blocks.0.video.norm1",
    "style": "dual",
    "more": "streams: {hidden: video, encoder: audio}",
}
REUSED = ("time_embed", "audio_time_embed", "x_embedder", "norm_out", "proj_out")
BEGINNING = ("transformer_blocks.0.video.modulation", "transformer_blocks.0.video.norm1")


@TOYS.good(
    lambda draw: [draw.single(audio_hidden_states=draw.tensor(draw.batch, draw.text, TEXT_CHANNELS))],
    spec=FUSED,
    attention="transformer_blocks.0.video.attn",
    reused=(*REUSED, *BEGINNING, "audio_embedder", "audio_out"),
    with_blocks=("pos_embed",),
    carried={"audio": True},
)
class Fused(FusedModel):
    """Parts of a block that have no forward; arguments in a tuple; both streams cross (Kandinsky 6)."""

    def forward(self, hidden_states, timestep, audio_hidden_states):
        checkpoint = torch.is_grad_enabled() and self.gradient_checkpointing
        temb = self.time_embed(timestep)
        audio_temb = self.audio_time_embed(timestep[:, None])
        video = self.x_embedder(hidden_states)
        audio = self.audio_embedder(audio_hidden_states)
        rope = self.pos_embed(hidden_states)
        for block in self.transformer_blocks:
            args = (video, audio, (temb, audio_temb), rope)
            video, audio = self._gradient_checkpointing_func(block, *args) if checkpoint else block(*args)
        return self.proj_out(self.norm_out(video, temb)), self.audio_out(audio + audio_temb[:, None])


@TOYS.good(
    lambda draw: [draw.single()],
    spec=FUSED,
    attention="transformer_blocks.0.video.attn",
    reused=(*REUSED, *BEGINNING),
    with_blocks=("pos_embed",),
    carried=None,
)
class FusedWithoutAudio(FusedModel):
    """The same call without its second stream: that is None on the way in and on the way out."""

    def forward(self, hidden_states, timestep, audio_hidden_states=None):
        temb = self.time_embed(timestep)
        audio_temb = self.audio_time_embed(timestep[:, None])
        video = self.x_embedder(hidden_states)
        audio = None
        if audio_hidden_states is not None:
            audio = self.audio_embedder(audio_hidden_states)
        rope = self.pos_embed(hidden_states)
        for block in self.transformer_blocks:
            args = (video, audio, (temb, audio_temb), rope)
            video, audio = block(*args)
        output = self.proj_out(self.norm_out(video, temb))
        return output if audio is None else (output, self.audio_out(audio + audio_temb[:, None]))


@TOYS.refused("norm-not-always-reached", spec=FUSED, marker="either may be missing")
class BoundBeforeTheCall(FusedModel):
    """The stream that enters the block is not the one that enters the blocks: it may be anything, None too."""

    def __init__(self):
        super().__init__()
        self.chosen = {True: None}

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        video = audio = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            video = self.chosen.get(video.shape[0] > 99, video)
            video, audio = block(video, audio, (temb, temb))
        return self.proj_out(self.norm_out(video + audio, temb))


class ForgetfulBlock(FusedBlock):
    """Binds its own stream again before it asks for it."""

    def forward(self, vis, aud, emb, rope=None):
        vis = self.keep(vis)
        if vis is not None:  # forgetful
            vis = vis + self.video.attn(self.video.norm1(vis) * emb[0][:, None])
        return vis, aud

    def keep(self, vis):
        return vis if vis is None or vis.shape[0] < 99 else None


@TOYS.refused("norm-not-always-reached", spec=FUSED, marker="forgetful")
class BoundInTheBlock(FusedModel):
    """The block may have lost its stream when it asks for it."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([ForgetfulBlock() for _ in range(2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        video = audio = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            video, audio = block(video, audio, (temb, temb))
        return self.proj_out(self.norm_out(video + audio, temb))
