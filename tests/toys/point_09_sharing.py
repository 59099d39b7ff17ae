"""Point 9: who shares an object with whom, by operations that only look as if they made a new one.

Each toy is red with `alias_sources` (analysis/effects/aliases.py) without its line on `UAdd`, with `INPLACE`
(analysis/effects/operations.py) empty, or with `_in_pattern` (analysis/effects/statements.py) without the keys of
mappings, as its docstring says.
"""

from __future__ import annotations

from torch.nn import functional

from tests.toys.parts import SingleModel
from tests.toys.toy import Toys

TOYS = Toys()


@TOYS.good(lambda draw: [draw.single()])
class PlusIsNoCopy(SingleModel):
    """`+x` is x: what halves it halves the stream that the output is made of. (`UAdd`)"""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        scaled = +hidden_states
        scaled.mul_(0.5)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()])
class InPlaceByPosition(SingleModel):
    """`relu(x, True)` changes x, though nobody reads what it returns. (`INPLACE`)"""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        same = hidden_states.contiguous()
        unused = functional.relu(same, True)  # noqa: F841
        return self.proj_out(hidden_states)


class Key:
    """Holds a key."""

    def __init__(self, name: str) -> None:
        self.name = name


@TOYS.good(lambda draw: [draw.single(), draw.single(options={"scale": 2.0}), draw.single(options={"size": 2.0})])
class MatchesByKey(SingleModel):
    """A pattern reads the key that it looks for, and what it finds is changed. (`_in_pattern`)"""

    def forward(self, hidden_states, timestep, options=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        key = Key("scale")
        factor = 1.0
        hidden_states = self.norm_out(hidden_states, temb)
        match options:
            case {key.name: value}:
                factor = value
        return self.proj_out(hidden_states) * factor
