"""Point 6: random numbers and state keep their order."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import CrossModel, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
CROSS = {"attention": "transformer_blocks.0.attn1"}


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class RandomStays(SingleModel):
    """Random numbers that only the blocks need are drawn before those that the entry needs."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        noise = torch.randn_like(hidden_states)
        jitter = torch.empty_like(hidden_states).uniform_()
        hidden_states = hidden_states + torch.rand(hidden_states.shape, dtype=hidden_states.dtype)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) + noise * jitter
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class Jitter(nn.Module):
    """Adds noise, as an augmentation does."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states + torch.randn_like(hidden_states)


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class RandomSubmodule(CrossModel):
    """Submodules draw the random numbers: the order of their calls has to stay."""

    def __init__(self):
        super().__init__()
        self.text_jitter = Jitter()
        self.image_jitter = Jitter()

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        encoder_hidden_states = self.context_embedder(self.text_jitter(encoder_hidden_states))
        hidden_states = self.image_jitter(self.x_embedder(hidden_states))
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual()], prepare=(nn.Module.train,), **CROSS)
class Dropout(CrossModel):
    """Dropout in training, on the text and then on the image; the text projection hides its dropout in a Sequential."""

    def __init__(self):
        super().__init__()
        self.text_proj = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5))
        self.dropout = nn.Dropout(0.5)

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        encoder_hidden_states = self.text_proj(encoder_hidden_states)
        hidden_states = self.dropout(self.x_embedder(hidden_states))
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class ModuleState(CrossModel):
    """Submodules with state: the order of the calls that read and write it has to stay."""

    def __init__(self):
        super().__init__()
        self.counter = Counter()

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        encoder_hidden_states = self.context_embedder(self.counter(encoder_hidden_states))
        hidden_states = self.x_embedder(self.counter(hidden_states))
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class Counter(nn.Module):
    """Scales by how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return hidden_states * self.calls


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class OwnState(SingleModel):
    """Attributes of the model are written in the prelude and read by the blocks and by the postlude."""

    def __init__(self):
        super().__init__()
        self.step = 0
        self.shapes = {}

    def forward(self, hidden_states, timestep):
        before = self.step
        self.step += 1
        self.shapes["entry"] = hidden_states.shape
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * self.step + before
        hidden_states = self.norm_out(hidden_states, temb)
        self.shapes["exit"] = hidden_states.shape
        return self.proj_out(hidden_states) * self.step
