"""Models for the bad specs of `tests/bad_specs/compile/` whose codes no refused toy shows."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import SingleBlock, SingleModel


class UnreadHead(SingleModel):
    """The head reads what the prelude made, not what the blocks made of it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        entry = hidden_states
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        output = self.norm_out(entry, temb)
        return self.proj_out(output)


class ChangedFeatures(SingleModel):
    """The postlude adds to a list that the blocks made."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        features = []
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            features.append(hidden_states.mean(1))
        hidden_states = self.norm_out(hidden_states, temb)
        features.append(hidden_states.mean(1))
        return self.proj_out(hidden_states), torch.stack(features)


class Assigned(SingleModel):
    """The forward hands the call on, but not with a plain `return`."""

    def forward(self, hidden_states, timestep):
        output = self.run(hidden_states, timestep)
        return output.to(hidden_states.dtype)

    def run(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class Plain(SingleModel):
    """Nothing is wrong with this one."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


Renamed = Plain


def timed(forward):
    """A decorator that hides what it wraps."""

    def wrapper(self, *args, **kwargs):
        return forward(self, *args, **kwargs)

    return wrapper


class Hidden(Plain):
    """Its forward lies under a decorator without `functools.wraps`."""

    @timed
    def forward(self, hidden_states, timestep):
        return super().forward(hidden_states, timestep)


class LastNormBlock(SingleBlock):
    """The norm is the last thing that happens."""

    def forward(self, hidden_states, temb):
        hidden_states = hidden_states + self.ff(self.attn(hidden_states))
        return self.norm1(hidden_states, emb=temb)[0]


class LastNorm(Plain):
    """Its blocks end in their norm."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([LastNormBlock()])


class IdleNorm(Plain):
    """Its blocks hold a norm that they never call."""

    def __init__(self):
        super().__init__()
        for block in self.transformer_blocks:
            block.norm2 = nn.LayerNorm(8)


class WhileLoop(SingleModel):
    """It goes through its blocks by index."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        index = 0
        while index < len(self.transformer_blocks):
            hidden_states = self.transformer_blocks[index](hidden_states, temb)
            index += 1
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class SkippedFirst(SingleModel):
    """Its first block is called by itself, the loop begins with the second."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks[1:]:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class InOneStatement(SingleModel):
    """Its loop and its head stand in one `with`."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        with torch.random.fork_rng():
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
            hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
