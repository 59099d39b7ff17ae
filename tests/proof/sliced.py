"""Small models that show where a cut lies: each is wrong on reused steps where one rule of the slicer is taken out.

mutants.yaml says which rule, and `test_a_cut_is_proven` (test_reuse.py) is what then fails: on computed steps nothing
shows.
"""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.Linear(width, width)

    def forward(self, hidden_states, temb):
        return hidden_states + self.attn(self.norm1(hidden_states) * (1 + temb[:, None]))


class TextBlock(Block):
    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.text = nn.Linear(width, width)

    def forward(self, hidden_states, encoder_hidden_states, temb):
        hidden_states = super().forward(hidden_states + encoder_hidden_states.mean(1, keepdim=True), temb)
        return hidden_states, encoder_hidden_states + self.text(encoder_hidden_states)


class Head(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.scale = nn.Linear(width, width)

    def forward(self, hidden_states, temb):
        return self.norm(hidden_states) * (1 + self.scale(temb)[:, None])


class Model(nn.Module):
    block: type[nn.Module] = Block

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.patch = nn.Linear(3, width)
        self.text_in = nn.Linear(3, width)
        self.embed = nn.Linear(1, width)
        self.blocks = nn.ModuleList(self.block(width) for _ in range(2))
        self.more_blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.norm_out = Head(width)
        self.proj_out = nn.Linear(width, 3)


class Between(Model):
    """The condition is made anew between two loops.

    Mutation: it is carried over from the last computed step.
    """

    def forward(self, hidden_states, timestep):
        temb = self.embed(timestep[:, None])
        hidden_states = self.patch(hidden_states)
        for block in self.blocks:
            hidden_states = block(hidden_states, temb)
        temb = torch.tanh(temb * 2)
        for block in self.more_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Skip(Model):
    """What enters the blocks is added behind them.

    Mutations: such a statement belongs to the blocks; the stream does not keep its shape.
    """

    def forward(self, hidden_states, timestep):
        temb = self.embed(timestep[:, None])
        hidden_states = self.patch(hidden_states)
        skip = hidden_states * 2
        for block in self.blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = hidden_states + skip
        return self.proj_out(self.norm_out(hidden_states, temb))


class Plain(Model):
    """The head has a statement of its own.

    Mutation: the blocks end one statement later.
    """

    def forward(self, hidden_states, timestep):
        temb = self.embed(timestep[:, None])
        hidden_states = self.patch(hidden_states)
        for block in self.blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class OtherName(Model):
    """The stream gets another name behind the blocks.

    Mutation: the blocks end behind whatever binds a name.
    """

    def forward(self, hidden_states, timestep):
        temb = self.embed(timestep[:, None])
        hidden_states = self.patch(hidden_states)
        for block in self.blocks:
            hidden_states = block(hidden_states, temb)
        timed = hidden_states + temb[:, None]
        return self.proj_out(self.norm_out(timed, temb)) + self.proj_out(hidden_states)


class Positions(Model):
    """The last statement before the blocks adds the time to the stream.

    Mutation: the blocks begin one statement earlier.
    """

    def forward(self, hidden_states, timestep):
        temb = self.embed(timestep[:, None])
        hidden_states = self.patch(hidden_states)
        hidden_states = hidden_states + temb[:, None]
        for block in self.blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Text(Model):
    """The head reads both streams.

    Mutation: the second one is carried over as it is, not its residual.
    """

    block = TextBlock

    def forward(self, hidden_states, encoder_hidden_states, timestep):
        temb = self.embed(timestep[:, None])
        hidden_states = self.patch(hidden_states)
        encoder_hidden_states = self.text_in(encoder_hidden_states)
        for block in self.blocks:
            hidden_states, encoder_hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = hidden_states + encoder_hidden_states.mean(1, keepdim=True)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Argument(Model):
    """The head reads an argument as it is.

    Mutation: arguments that the head reads are those of the last computed step.
    """

    def forward(self, hidden_states, timestep):
        temb = self.embed(timestep[:, None])
        hidden_states = self.patch(hidden_states)
        for block in self.blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb)) * timestep[:, None, None]


class LastByItself(Model):
    """The last block is called behind the loop.

    Mutation: only loops hold blocks.
    """

    def forward(self, hidden_states, timestep):
        temb = self.embed(timestep[:, None])
        hidden_states = self.patch(hidden_states)
        for block in self.blocks[:-1]:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.blocks[-1](hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Counting(Model):
    """A loop over the blocks that runs none adds the time.

    Mutation: every loop over the list is one that runs it.
    """

    def forward(self, hidden_states, timestep):
        temb = self.embed(timestep[:, None])
        hidden_states = self.patch(hidden_states)
        for block in self.blocks:
            hidden_states = block(hidden_states, temb)
        for index, _ in enumerate(self.blocks):
            hidden_states = hidden_states + temb[:, None] * index
        return self.proj_out(self.norm_out(hidden_states, temb))


MODELS: dict[str, type[Model]] = {
    model.__name__: model
    for model in (Between, Skip, Plain, OtherName, Positions, Text, Argument, LastByItself, Counting)
}


def spec_text(name: str) -> str:
    """The spec of a model."""
    text = "    encoder_hidden_states: [batch, text, 3]\n" if name == "Text" else ""
    loops = "blocks, more_blocks" if name == "Between" else "blocks"
    return f"""\
teaspec: 1
model: tests.proof.sliced:{name}
embed: embed -> temb
norm: blocks.0.norm1
blocks: {{style: {"dual" if text else "single"}, loops: [{loops}]}}
head: norm_out
probe:
  config: {{width: 6}}
  dims: {{batch: [1, 3], image: [2, 5], text: [1, 4]}}
  inputs:
    hidden_states: [batch, image, 3]
{text}    timestep: {{tensor: [batch], range: [0, 1]}}
"""
