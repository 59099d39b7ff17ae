"""Point 1: loops in the midst of a `with`."""

from __future__ import annotations

import contextlib

import torch

from tests.toys.parts import SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class WithAutocast(SingleModel):
    """All in one `with`."""

    def forward(self, hidden_states, timestep):
        with torch.autocast("cpu", enabled=False):
            temb = self.time_embed(timestep)
            hidden_states = self.x_embedder(hidden_states)
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
            hidden_states = self.norm_out(hidden_states, temb)
            output = self.proj_out(hidden_states)
        return output


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class WithNoGrad(SingleModel):
    """A loop in a `with`, and what the head reads is made in it."""

    def forward(self, hidden_states, timestep):
        with torch.no_grad():
            temb = self.time_embed(timestep)
            hidden_states = self.x_embedder(hidden_states)
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class LoopInWith(SingleModel):
    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states.to(temb.dtype), temb))


@TOYS.good(lambda draw: [draw.single(), draw.single(early=True)], reused=None)
class TwoContexts(SingleModel):
    """Two contexts in one `with`, in a branch, with a return in it."""

    enabled = False

    def forward(self, hidden_states, timestep, early=False):
        temb = self.time_embed(timestep)
        with torch.autocast("cpu", enabled=self.enabled), contextlib.nullcontext():
            hidden_states = self.x_embedder(hidden_states)
            if early:
                return hidden_states
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
            return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.refused("loop-in-unknown-place", marker="refused: a context of its own")
class ContextOfItsOwn(SingleModel):
    """What the context does when it is entered twice is not known."""

    @contextlib.contextmanager
    def counting(self):
        self.entered = getattr(self, "entered", 0) + 1
        yield

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        with self.counting():  # refused: a context of its own
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
            hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
