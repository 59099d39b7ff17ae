"""A transformer as small as a proof needs it: two streams, an optional scale, options that the forward changes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode


@dataclass
class Output:
    sample: torch.Tensor


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.Linear(width, width)
        self.text = nn.Linear(width, width)
        self.gate = nn.Parameter(torch.zeros(width))

    def forward(self, hidden_states, encoder_hidden_states, temb):
        normed = self.norm1(hidden_states) * (1 + temb[:, None])
        hidden_states = hidden_states + self.gate * self.attn(normed) + encoder_hidden_states.mean(1, keepdim=True)
        return encoder_hidden_states + self.text(encoder_hidden_states), hidden_states


class SmallTransformer(nn.Module):
    _keep_in_fp32_modules = ("embed",)

    def __init__(self, width: int = 8, layers: int = 2) -> None:
        super().__init__()
        self.patch = nn.Linear(3, width)
        self.text_in = nn.Linear(5, width)
        self.embed = nn.Linear(1, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.norm_out = nn.LayerNorm(width)
        self.proj_out = nn.Linear(width, 3)

    def forward(self, hidden_states, encoder_hidden_states, timestep, scale=None, options=None, return_dict=True):
        hidden_states = self.patch(hidden_states)
        temb = self.embed(timestep[:, None].float()).to(hidden_states.dtype)
        encoder_hidden_states = self.text_in(encoder_hidden_states)
        if scale is not None:
            temb = temb * scale
        if options is not None:
            options["seen"] = options.pop("new")
        for block in self.blocks:
            encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
        output = self.proj_out(self.norm_out(hidden_states) + temb[:, None])
        if not return_dict:
            return (output,)
        return Output(output)


class NotANumber(SmallTransformer):
    def forward(self, hidden_states, encoder_hidden_states, timestep, scale=None, options=None, return_dict=True):
        return Output(hidden_states * float("nan"))


class Constant(SmallTransformer):
    def forward(self, hidden_states, encoder_hidden_states, timestep, scale=None, options=None, return_dict=True):
        return Output(torch.ones_like(hidden_states))


class Dice(SmallTransformer):
    def forward(self, hidden_states, encoder_hidden_states, timestep, scale=None, options=None, return_dict=True):
        return Output(torch.randn_like(hidden_states))


class ByKeyword(SmallTransformer):
    """Takes its text among what its signature does not name."""

    def forward(self, hidden_states, timestep, scale=None, options=None, return_dict=True, **kwargs):
        encoder_hidden_states = self.text_in(kwargs["encoder_hidden_states"])
        hidden_states = self.patch(hidden_states)
        temb = self.embed(timestep[:, None].float()).to(hidden_states.dtype)
        for block in self.blocks:
            encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
        output = self.proj_out(self.norm_out(hidden_states) + temb[:, None])
        if not return_dict:
            return (output,)
        return Output(output)


class Unwatched(nn.Linear):
    """Does not run while its operations are counted, as flex attention, which compiles itself."""

    def forward(self, hidden_states):
        if _get_current_dispatch_mode() is not None:
            raise TypeError("watched")
        return super().forward(hidden_states)


class UnwatchedTransformer(SmallTransformer):
    def __init__(self, width: int = 8, layers: int = 2) -> None:
        super().__init__(width, layers)
        self.proj_out = Unwatched(width, 3)


SPEC = """\
teaspec: 1
model: tests.proof.small:SmallTransformer
embed: embed -> temb
norm: blocks.0.norm1
blocks: {style: dual, loops: [blocks]}
head: norm_out
probe:
  config: {width: 6}
  dims: {batch: [1, 3], image: [2, 5], text: [1, 4]}
  inputs:
    hidden_states: [batch, image, 3]
    encoder_hidden_states: [batch, text, 5]
    timestep: {tensor: [batch], range: [0, 1]}
    scale?: 1.5
    options?: {dict: {new: 2}}
  cases:
    - config: {layers: 3}
"""
