"""Models whose remarks say what the margin has to say of each statement; `-` for nothing."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import CrossBlock, CrossModel

SPEC = """\
teaspec: 1
model: tests.explain.models:Marked
embed: time_embed -> temb
norm: transformer_blocks.0.norm1
blocks: {style: dual, loops: [transformer_blocks, more_blocks]}
head: norm_out
streams: {hidden: image, encoder: text}
probe:
  config: {}
  dims: {batch: [1, 2], tokens: [2, 5], words: [1, 3]}
  inputs:
    hidden_states: [batch, tokens, 4]
    timestep: [batch]
    encoder_hidden_states: [batch, words, 6]
    scale?: 2.0
"""


# fmt: off
class Marked(CrossModel):
    """What can become of a statement, with the loops in a helper."""

    def __init__(self):
        super().__init__()
        self.more_blocks = nn.ModuleList([CrossBlock()])

    def _stack(self, image, text, temb, rotary):
        """Runs all blocks."""
        for block in self.transformer_blocks:  # norm slice + blocks
            image = block(image, text, temb, rotary)  # blocks
        # about the next line, too
        size = temb.mean()  # blocks + postlude
        other = temb.std()  # blocks + postlude
        for block in self.more_blocks:  # blocks
            image = block(image, text, temb, rotary) * size  # blocks
        spread = image.std()  # blocks
        image = image * 2  # blocks
        text = text + 1  # blocks
        return image, text, spread, size * other  # blocks + postlude

    def forward(self, hidden_states, timestep, encoder_hidden_states, scale=None):
        """Says `for`, `if` and `return`, and is no statement."""
        rotary = self.pos_embed(hidden_states)  # sunk
        image, text = self.x_embedder(hidden_states), self.context_embedder(encoder_hidden_states)  # prelude + sunk
        # about the next line

        temb = self.time_embed(  # prelude
            timestep
        )
        if scale is not None:  # prelude
            temb = temb * scale  # prelude

        image, text, spread, size = self._stack(image, text, temb, rotary)  # -
        if scale is None:  # postlude
            unused = text.mean()  # dropped
            spread = spread + 1  # postlude
        else:
            unused = torch.ones(1)  # noqa: F841  # dropped
        image = self.norm_out(image, temb)  # postlude
        return self.proj_out(image) * spread * size  # postlude


class Between(Marked):
    """What stands between the loops and does not depend on them."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)  # prelude
        image = self.x_embedder(hidden_states)  # prelude
        text = self.context_embedder(encoder_hidden_states)  # sunk
        for block in self.transformer_blocks:  # norm slice + blocks
            image = block(image, text, temb)  # blocks
        size = temb.mean()  # blocks + postlude
        other = temb.std()  # postlude
        for block in self.more_blocks:  # blocks
            image = block(image, text, temb) * size  # blocks
        image = self.norm_out(image, temb)  # postlude
        return self.proj_out(image) * size * other  # postlude
