"""Point 1: the ways in which a block is handed to gradient checkpointing."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


def checkpoint(module: nn.Module) -> None:
    """Turns the branch for gradient checkpointing on."""
    module.gradient_checkpointing = True


@TOYS.good(lambda draw: [draw.single()], prepare=(nn.Module.eval, checkpoint), reused=SINGLE)
class BoundCall(SingleModel):
    """The block's `__call__` is handed over, not the block (PRX)."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden_states = self._gradient_checkpointing_func(block.__call__, hidden_states, temb)
            else:
                hidden_states = block(hidden_states=hidden_states, temb=temb)
        return self.proj_out(self.norm_out(hidden_states, temb))
