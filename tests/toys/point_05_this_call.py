"""Point 5: what does not depend on what the blocks compute is this call's, wherever it is bound.

Each toy is red with the compiler as it was, or if `_is_made_again` (analysis/cut/crossing.py) says False: its condition
is then taken over from the last computed step, or made twice on a computed one.
"""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import DualModel, SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
BOTH = {"loops": "transformer_blocks, single_transformer_blocks"}


class TwoLoops(DualModel):
    """Two lists of blocks of one stream."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([SingleBlock() for _ in range(2)])


@TOYS.good(lambda draw: [draw.single()], spec=BOTH, later=True)
class MadeAnewBetween(TwoLoops):
    """Made anew from itself between two loops, of which the second reads it, too."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        temb = temb * 0.5 + 1
        for block in self.single_transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class MadeAnewBehind(SingleModel):
    """Made anew behind the loop, before the last statement that rebinds the stream."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        temb = temb * 0.5 + 1
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class MadeAnewInLoop(SingleModel):
    """Made anew in each turn of the loop, in a way that knows the turn."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for index, block in enumerate(self.transformer_blocks):
            hidden_states = block(hidden_states, temb)
            temb = temb * 0.9 + index
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(), draw.single(depth=1)], later=True)
class MadeAnewUntilItLeaves(SingleModel):
    """The loop is left early, for a reason that is not the stream's."""

    def forward(self, hidden_states, timestep, depth=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for index, block in enumerate(self.transformer_blocks):
            if depth is not None and index >= depth:
                break
            hidden_states = block(hidden_states, temb)
            if index == 0:
                continue
            temb = temb * 0.9 + index
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(), draw.single(guided=True)], later=True)
class MadeInBranches(SingleModel):
    """One branch makes it anew, another one from something else, under a context that sets how torch computes."""

    def forward(self, hidden_states, timestep, guided=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        with torch.no_grad():
            if guided:
                temb = temb * 2
            else:
                shift = temb - 1
                temb = shift.abs()
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class HelperReturnsBoth(SingleModel):
    """A helper that can be written out returns the stream and a condition."""

    def run(self, hidden_states, temb):
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return hidden_states, temb * 0.5

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        hidden_states, condition = self.run(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(), draw.single(scale=2.0)], later=True)
class HelperHandsBack(SingleModel):
    """A helper that cannot be written out hands the condition back as it was given it."""

    def run(self, hidden_states, temb, scale):
        if scale is None:
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
            return hidden_states, temb
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * scale
        return hidden_states, temb

    def forward(self, hidden_states, timestep, scale=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        hidden_states, temb = self.run(hidden_states, temb, scale)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], spec=BOTH, carried={"temb": True})
class OldAndNew(TwoLoops):
    """A value is made of the old condition, which the blocks then change by what they compute: both are read."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        late = temb + 1
        temb = temb + hidden_states.mean(1)
        for block in self.single_transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb * late)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], carried={"help_": False}, later=True)
class SameNameTwice(SingleModel):
    """A name helps to make a condition, and then holds what the blocks compute: the condition is made under another."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            help_ = temb * 2
            temb = help_ - 1
            hidden_states = block(hidden_states, temb)
            help_ = hidden_states.mean(1)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) + help_.mean()


@TOYS.good(lambda draw: [draw.single()], carried={"pooled": False}, replay=False)
class LeftOnBlock(SingleModel):
    """What the last block leaves on itself is read while it still belongs to the blocks, and carried over as theirs."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            block.pooled = hidden_states.mean(1)
        pooled = self.transformer_blocks[-1].pooled
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb + pooled)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class StreamsNameInAComprehension(SingleModel):
    """A comprehension calls its own variable by the stream's name: what it makes is none of the stream's.

    Red if `_comprehension` (analysis/flow/trace_values.py) takes that for the stream.
    """

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            factors = [hidden_states + 1 for hidden_states in (1, 2)]
            temb = temb * sum(factors)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class LookedUpInDict(SingleModel):
    """A helper puts the stream and the condition in one dict, of which each is looked up again."""

    def both(self, hidden_states, temb):
        return {"x": hidden_states, "c": temb}

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            both = self.both(hidden_states, temb)
            temb = both["c"]
        temb = temb * 0.5 + 1
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], carried={"options": False}, later=True)
class FilledBetween(SingleModel):
    """A dict that is made and filled behind the loop, and read behind the blocks: it is the same in every call."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        options = {"scale": 3}
        options["scale"] = 2
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * options["scale"]


@TOYS.good(lambda draw: [draw.single(), draw.single(skip=(1,)), draw.single(skip=(0, 1))], later=True)
class MadeAnewInSomeTurns(SingleModel):
    """Made anew twice in a turn, of which the second is left out where a block is skipped.

    Red if a `continue` wants what is wanted behind it (`leaving` in analysis/cut/again.py): the first is left out then.
    """

    def forward(self, hidden_states, timestep, skip=()):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for index, block in enumerate(self.transformer_blocks):
            condition = temb * 0.5
            if index in skip:
                continue
            hidden_states = block(hidden_states, temb)
            condition = temb * 2
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(), draw.single(last=1), draw.single(last=0)], later=True)
class MadeAnewUntilTheLastTurn(SingleModel):
    """The same with a loop that ends early. Red if a `break` wants what is wanted behind it."""

    def forward(self, hidden_states, timestep, last=5):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for index, block in enumerate(self.transformer_blocks):
            hidden_states = block(hidden_states, temb)
            condition = temb * 0.5
            if index == last:
                break
            condition = temb * 2
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)
