"""Point 1: helper methods with a block loop that are written out in the forward, with names that clash with its own."""

from __future__ import annotations

import torch

from tests.toys.parts import DualModel, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(lambda draw: [draw.dual()], spec={"style": "dual"})
class HelperWithTheOtherNames(DualModel):
    """The helper calls each stream by the name that the forward has for the other one."""

    def _run(self, encoder_hidden_states, hidden_states, temb):
        for block in self.transformer_blocks:
            hidden_states, encoder_hidden_states = block(encoder_hidden_states, hidden_states, temb)
        return encoder_hidden_states, hidden_states

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        hidden_states, encoder_hidden_states = self._run(hidden_states, encoder_hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class HelperThatRebindsEverything(SingleModel):
    """Parameters, locals and a comprehension's name of the helper are locals of the forward too, read behind."""

    def _run(self, hidden_states, temb, scale=2.0):
        shift = sum(scale * 0.5 for scale in (1.0, scale))
        temb = temb + shift
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * scale
            scale = scale + 1
        return self.norm_out(hidden_states, temb)

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        scale, shift, block = 3.0, 5.0, 7.0
        hidden_states = self._run(hidden_states, temb)
        return self.proj_out(hidden_states) * scale + shift * block + temb.mean()


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class HelperInHelper(SingleModel):
    """The helper leaves the loop to another one."""

    def _inner(self, states, emb):
        for block in self.transformer_blocks:
            states = block(states, emb)
        return states

    def _outer(self, hidden_states, emb):
        hidden_states = self._inner(hidden_states, emb=emb)
        return hidden_states

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        hidden_states = self._outer(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


def _checkpoint(function, *args):
    return function(*args)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, prepare=(torch.nn.Module.eval, torch.nn.Module.train))
class CheckpointOfCall(SingleModel):
    """Gradient checkpointing is given the block's `__call__` (Cosmos3)."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            if self.training:
                hidden_states = _checkpoint(block.__call__, hidden_states, temb)
            else:
                hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))
