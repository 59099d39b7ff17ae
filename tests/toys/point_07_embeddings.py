"""Point 7: forwards without an embedding of their own, and forwards whose modes bind it to different names."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import AdaNorm, Attention, SingleModel, TimeEmbed
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


class EmbeddingNorm(nn.Module):
    """A norm that embeds the timestep itself (AdaLayerNormZero of DiT)."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = TimeEmbed()
        self.norm = AdaNorm()

    def forward(self, hidden: torch.Tensor, timestep: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.norm(hidden, self.emb(timestep))


class EmbeddingBlock(nn.Module):
    """A block that takes the timestep."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = EmbeddingNorm()
        self.attn = Attention()

    def forward(self, hidden_states: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        norm_hidden_states, gate = self.norm1(hidden_states, timestep)
        return hidden_states + gate * self.attn(norm_hidden_states)


@TOYS.good(
    lambda draw: [draw.single()],
    spec={"embed": "none"},
    reused=("norm_out", "proj_out", "transformer_blocks.0.norm1", "transformer_blocks.0.norm1.emb", "x_embedder"),
)
class NoEmbedding(SingleModel):
    """Only the blocks embed the timestep, and the head borrows the embedding of the first (DiT)."""

    def __init__(self) -> None:
        super().__init__()
        del self.time_embed
        self.transformer_blocks = nn.ModuleList([EmbeddingBlock() for _ in range(2)])

    def forward(self, hidden_states, timestep):
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, timestep)
        temb = self.transformer_blocks[0].norm1.emb(timestep)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(
    lambda draw: [draw.single(), draw.single(clean=draw.tensor(draw.batch))],
    spec={"embed": "time_embed -> temb or noisy"},
    reused=SINGLE,
)
class TwoNames(SingleModel):
    """One mode binds the embedding to one name and leaves the other None (Z-Image)."""

    def forward(self, hidden_states, timestep, clean=None):
        if clean is None:
            temb = self.time_embed(timestep)
            noisy = None
        else:
            noisy = self.time_embed(timestep)
            clean = self.time_embed(clean)
            temb = None
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb if clean is None else noisy + clean)
        return self.proj_out(self.norm_out(hidden_states, temb if clean is None else noisy))


@TOYS.good(
    lambda draw: [draw.single(), draw.single(double=True)],
    spec={"embed": "time_embed -> one or two"},
    reused=SINGLE,
)
class TwoNamesUnbound(SingleModel):
    """Each mode binds a name of its own and leaves the other unbound."""

    def forward(self, hidden_states, timestep, double=False):
        hidden_states = self.x_embedder(hidden_states)
        if double:
            two = self.time_embed(2 * timestep)
            emb = two
        else:
            one = self.time_embed(timestep)
            emb = one
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, emb)
        return self.proj_out(self.norm_out(hidden_states, emb))
