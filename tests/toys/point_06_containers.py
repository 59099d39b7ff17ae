"""Point 6: filling a list or a dict changes nothing but the list or the dict, as long as nobody else has it."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import WIDTH, CrossModel, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
CROSS = {"attention": "transformer_blocks.0.attn1"}


@TOYS.good(lambda draw: [draw.dual()], reused=SINGLE, with_blocks=("context_embedder",), **CROSS)
class TextInParts(CrossModel):
    """The text is embedded token by token into a list, which sinks with its loop (Wan-Animate's motion encoder)."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        parts = []
        for token in encoder_hidden_states.unbind(1):
            parts.append(self.context_embedder(token))
        arguments = {"encoder_hidden_states": torch.stack(parts, dim=1)}
        arguments["temb"] = temb
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, **arguments)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class OtherNameOfTheList(CrossModel):
    """The text is made from a list that a kept statement fills below under its other name."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        factors = [1.0, 2.0]
        other = factors
        text = self.context_embedder(encoder_hidden_states) * sum(other)
        factors.append(3.0)
        hidden_states = self.x_embedder(hidden_states) * sum(factors)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class ListInADict(CrossModel):
    """The list is held by a dict, which the text reads; a kept statement fills the list below."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        factors = [1.0, 2.0]
        settings = {"factors": factors}
        text = self.context_embedder(encoder_hidden_states) * sum(settings["factors"])
        factors.append(3.0)
        hidden_states = self.x_embedder(hidden_states) * sum(factors)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class ListTakenOut(CrossModel):
    """A name that held a list of lists holds one of them when it is filled."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        inner = [1.0, 2.0]
        factors = [inner]
        factors = factors[0]
        text = self.context_embedder(encoder_hidden_states) * sum(inner)
        factors.append(3.0)
        hidden_states = self.x_embedder(hidden_states) * sum(factors)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class ItemChangedInPlace(CrossModel):
    """A kept statement changes not the list but the tensor in it, which the text is made from."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        scale = encoder_hidden_states.mean() + 1
        scales = [scale]
        text = self.context_embedder(encoder_hidden_states) * scale
        scales[0].add_(1.0)
        hidden_states = self.x_embedder(hidden_states) * scales[0]
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


def _grow(tensor: torch.Tensor) -> torch.Tensor:
    tensor.add_(1.0)
    return tensor


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class SpreadIntoAChange(CrossModel):
    """A kept statement spreads the list into a function that changes what it is given."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        scale = encoder_hidden_states.mean() + 1
        scales = [scale]
        text = self.context_embedder(encoder_hidden_states) * scale
        hidden_states = self.x_embedder(hidden_states) * _grow(*scales)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class HintBlock(nn.Module):
    """Makes a hint for the blocks that follow, from the stream and a stream of its own."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden_states, control):
        control = torch.tanh(self.linear(control + hidden_states))
        return control * 2, control


@TOYS.good(
    lambda draw: [draw.single(control=draw.tensor(draw.batch, draw.image, WIDTH))],
    spec={"loops": "hint_blocks, transformer_blocks"},
    reused=SINGLE,
    with_blocks=(),
)
class HintsInAList(SingleModel):
    """A first loop collects hints that a second one takes from the list; the norm is that of the second (Wan-VACE)."""

    def __init__(self):
        super().__init__()
        self.hint_blocks = nn.ModuleList([HintBlock() for _ in range(2)])

    def forward(self, hidden_states, timestep, control):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        if timestep.shape[0] > 1:
            hints = []
            for block in self.hint_blocks:
                hint, control = block(hidden_states, control)
                hints.append((hint, temb.mean()))
            hints = hints[::-1]
            for index, block in enumerate(self.transformer_blocks):
                hidden_states = block(hidden_states, temb)
                if index in (0, 1):
                    hint, scale = hints.pop()
                    hidden_states = hidden_states + hint * scale
        else:
            hints = []
            for block in self.hint_blocks:
                hint, control = block(hidden_states, control)
                hints.append((hint, temb.mean()))
            hints = hints[::-1]
            for index, block in enumerate(self.transformer_blocks):
                hidden_states = block(hidden_states, temb)
                if index in (0, 1):
                    hint, scale = hints.pop()
                    hidden_states = hidden_states + hint * scale * 2
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
