"""Point 2: loops that are no block loops."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import CrossModel, Rope, SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()


class _Refining(CrossModel):
    def __init__(self):
        super().__init__()
        self.context_refiner = nn.ModuleList([SingleBlock() for _ in range(2)])
        self.noise_refiner = nn.ModuleList([SingleBlock()])
        self.layers = nn.ModuleList([SingleBlock() for _ in range(2)])
        self.context_rope = Rope()
        del self.transformer_blocks


@TOYS.good(
    lambda draw: [draw.dual(), draw.dual(return_dict=False)],
    spec={"norm": "layers.0.norm1", "loops": "layers"},
    attention="layers.0.attn",
    reused=(
        "context_embedder",
        "context_refiner.0",
        "context_refiner.1",
        "context_rope",
        "layers.0.norm1",
        "noise_refiner.0",
        "norm_out",
        "proj_out",
        "time_embed",
        "x_embedder",
    ),
    with_blocks=("pos_embed",),
)
class JointRefiners(_Refining):
    """Both refiners feed the joint stream, which is needed at block entry (Lumina2)."""

    def forward(self, hidden_states, timestep, encoder_hidden_states, return_dict=True):
        batch_size = hidden_states.shape[0]
        temb = self.time_embed(timestep)
        context_rotary_emb = self.context_rope(encoder_hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        for layer in self.context_refiner:
            encoder_hidden_states = layer(encoder_hidden_states, temb, context_rotary_emb)
        for layer in self.noise_refiner:
            hidden_states = layer(hidden_states, temb)
        lengths = [encoder_hidden_states.shape[1]] * batch_size
        joint = hidden_states.new_zeros(batch_size, lengths[0] + hidden_states.shape[1], 8)
        for i, length in enumerate(lengths):
            joint[i, :length] = encoder_hidden_states[i, :length]
            joint[i, length:] = hidden_states[i]
        hidden_states = joint
        rotary_emb = self.pos_embed(hidden_states)
        for layer in self.layers:
            hidden_states = layer(hidden_states, temb, rotary_emb)
        hidden_states = self.norm_out(hidden_states, temb)
        output = []
        for i, length in enumerate(lengths):
            output.append(self.proj_out(hidden_states[i][length:]))
        output = torch.stack(output, dim=0)
        if not return_dict:
            return (output,)
        return {"sample": output}


@TOYS.good(
    lambda draw: [draw.dual()],
    attention="transformer_blocks.0.attn1",
    reused=("noise_refiner.0", "norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder"),
    with_blocks=("context_embedder", "context_refiner.0", "context_refiner.1", "context_rope"),
)
class SunkRefiner(CrossModel):
    """Only the blocks read the refined text: the whole refiner sinks."""

    def __init__(self):
        super().__init__()
        self.context_refiner = nn.ModuleList([SingleBlock() for _ in range(2)])
        self.noise_refiner = nn.ModuleList([SingleBlock()])
        self.context_rope = Rope()

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        context_rotary_emb = self.context_rope(encoder_hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        for layer in self.context_refiner:
            encoder_hidden_states = layer(encoder_hidden_states, temb, context_rotary_emb)
        for layer in self.noise_refiner:
            hidden_states = layer(hidden_states, temb)
        for layer in self.transformer_blocks:
            hidden_states = layer(hidden_states, encoder_hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(
    lambda draw: [draw.single()],
    reused=(
        "final_layers.0",
        "final_layers.1",
        "norm_out",
        "proj_out",
        "time_embed",
        "transformer_blocks.0.norm1",
        "x_embedder",
    ),
    with_blocks=(),
)
class FinalLayers(SingleModel):
    """A loop behind the head belongs to the postlude; its loop variable is the block loop's."""

    def __init__(self):
        super().__init__()
        self.final_layers = nn.ModuleList([SingleBlock() for _ in range(2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        for block in self.final_layers:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(hidden_states)
