"""The submodules that toys are made of: width 8, named as the field names them."""

from __future__ import annotations

import torch
import torch.utils.checkpoint
from torch import nn

WIDTH = 8
CHANNELS = 4
TEXT_CHANNELS = 6


class TimeEmbed(nn.Module):
    """timestep [batch] -> embedding [batch, WIDTH]."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.linear = nn.Linear(1, width)

    def forward(self, timestep: torch.Tensor) -> torch.Tensor:
        return nn.functional.silu(self.linear(timestep[:, None].to(self.linear.weight.dtype)))


class Rope(nn.Module):
    """hidden [batch, tokens, any] -> positions [tokens, WIDTH]; reads the values too, not the shape alone."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, WIDTH)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(hidden.shape[1], dtype=hidden.dtype)[:, None] + hidden[0, :, :1].abs()
        return torch.cos(self.linear(positions))


class AdaNorm(nn.Module):
    """Norm, scale and shift from the embedding; also the gate, as AdaLayerNormZero returns it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, 3 * WIDTH)
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)

    def forward(self, hidden: torch.Tensor, emb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shift, scale, gate = self.linear(nn.functional.silu(emb))[:, None].chunk(3, dim=-1)
        return self.norm(hidden) * (1 + scale) + shift, gate


class NormOut(nn.Module):
    """The norm of the output head."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, 2 * WIDTH)
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)

    def forward(self, hidden: torch.Tensor, emb: torch.Tensor) -> torch.Tensor:
        scale, shift = self.linear(nn.functional.silu(emb))[:, None].chunk(2, dim=-1)
        return self.norm(hidden) * (1 + scale) + shift


class Attention(nn.Module):
    """Single-head attention over the hidden tokens, and the encoder tokens when there are any."""

    def __init__(self) -> None:
        super().__init__()
        self.to_q = nn.Linear(WIDTH, WIDTH)
        self.to_k = nn.Linear(WIDTH, WIDTH)
        self.to_v = nn.Linear(WIDTH, WIDTH)

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        image_rotary_emb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        query = self.to_q(hidden_states)
        if image_rotary_emb is not None:
            query = query * image_rotary_emb
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        scores = query @ self.to_k(source).transpose(1, 2) / WIDTH**0.5
        return scores.softmax(-1) @ self.to_v(source)


class SingleBlock(nn.Module):
    """One stream."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = AdaNorm()
        self.attn = Attention()
        self.ff = nn.Linear(WIDTH, WIDTH)

    def forward(
        self, hidden_states: torch.Tensor, temb: torch.Tensor, image_rotary_emb: torch.Tensor | None = None
    ) -> torch.Tensor:
        norm_hidden_states, gate = self.norm1(hidden_states, emb=temb)
        hidden_states = hidden_states + gate * self.attn(norm_hidden_states, image_rotary_emb=image_rotary_emb)
        return hidden_states + self.ff(hidden_states)


class CrossBlock(nn.Module):
    """One stream that attends to a constant text: norm, scale and shift written in the block itself."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.attn1 = Attention()
        self.attn2 = Attention()
        self.scale_shift_table = nn.Parameter(torch.randn(1, 3, WIDTH) / WIDTH**0.5)

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        temb: torch.Tensor,
        rotary_emb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        shift, scale, gate = (self.scale_shift_table + temb[:, None]).chunk(3, dim=1)
        norm_hidden_states = (self.norm1(hidden_states) * (1 + scale) + shift).type_as(hidden_states)
        hidden_states = hidden_states + gate * self.attn1(norm_hidden_states, None, rotary_emb)
        return hidden_states + self.attn2(hidden_states, encoder_hidden_states)


class DualBlock(nn.Module):
    """Two streams; returns the encoder stream first, as the field does."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = AdaNorm()
        self.norm1_context = AdaNorm()
        self.attn = Attention()
        self.ff = nn.Linear(WIDTH, WIDTH)
        self.ff_context = nn.Linear(WIDTH, WIDTH)

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        temb: torch.Tensor,
        image_rotary_emb: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        norm_hidden_states, gate = self.norm1(hidden_states, emb=temb)
        norm_encoder_hidden_states, context_gate = self.norm1_context(encoder_hidden_states, emb=temb)
        attention = self.attn(
            hidden_states=norm_hidden_states,
            encoder_hidden_states=torch.cat([norm_encoder_hidden_states, norm_hidden_states], dim=1),
            image_rotary_emb=image_rotary_emb,
        )
        hidden_states = hidden_states + gate * attention
        hidden_states = hidden_states + self.ff(hidden_states)
        encoder_hidden_states = encoder_hidden_states + context_gate * attention.mean(1, keepdim=True)
        encoder_hidden_states = encoder_hidden_states + self.ff_context(encoder_hidden_states)
        return encoder_hidden_states, hidden_states


class Checkpointing(nn.Module):
    """What diffusers' ModelMixin gives to a model that supports gradient checkpointing."""

    def __init__(self) -> None:
        super().__init__()
        self.gradient_checkpointing = False

    def _gradient_checkpointing_func(self, block: nn.Module, *args: object) -> object:
        return torch.utils.checkpoint.checkpoint(block, *args, use_reentrant=False)


class SingleModel(Checkpointing):
    """The submodules of a one-stream model, without a forward."""

    def __init__(self) -> None:
        super().__init__()
        self.x_embedder = nn.Linear(CHANNELS, WIDTH)
        self.time_embed = TimeEmbed()
        self.pos_embed = Rope()
        self.transformer_blocks = nn.ModuleList([SingleBlock() for _ in range(2)])
        self.norm_out = NormOut()
        self.proj_out = nn.Linear(WIDTH, CHANNELS)


class CrossModel(SingleModel):
    """The submodules of a one-stream model that attends to a projected text, without a forward."""

    def __init__(self) -> None:
        super().__init__()
        self.context_embedder = nn.Linear(TEXT_CHANNELS, WIDTH)
        self.transformer_blocks = nn.ModuleList([CrossBlock() for _ in range(2)])


class DualModel(SingleModel):
    """The submodules of a two-stream model with single-stream blocks behind, without a forward."""

    def __init__(self) -> None:
        super().__init__()
        self.context_embedder = nn.Linear(TEXT_CHANNELS, WIDTH)
        self.transformer_blocks = nn.ModuleList([DualBlock() for _ in range(2)])
        self.single_transformer_blocks = nn.ModuleList([SingleBlock() for _ in range(2)])
