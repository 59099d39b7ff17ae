"""Point 1: helpers of one turn of a block loop, blocks without a loop, loops that run no block.

Each toy is red with the compiler as it was: its condition was taken for a stream, a block ran on reused steps, or a
statement of this call stood in the blocks.
"""

from __future__ import annotations

from tests.toys.parts import SingleModel
from tests.toys.toy import Toys

TOYS = Toys()


@TOYS.good(lambda draw: [draw.single()], later=True)
class TurnReturnsCondition(SingleModel):
    """Red if helpers in loops are left as calls (`_in_loops`, analysis/writing/inlining.py)."""

    def _turn(self, block, x, c):
        return block(x, c), c * 0.9

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states, temb = self._turn(block, hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class TurnKeepsItsOwn(SingleModel):
    """The helper's condition is its own: the forward's stays what it was."""

    def _turn(self, block, hidden_states, temb):
        temb = temb * 2
        hidden_states = block(hidden_states, temb)
        return hidden_states

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = self._turn(block, hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class TurnByNumber(SingleModel):
    """The helper is handed the number of the block."""

    def _turn(self, index, x, c):
        return self.transformer_blocks[index](x, c)

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for index in range(len(self.transformer_blocks)):
            hidden_states = self._turn(index, hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(), draw.single(twice=True)], may_refuse=True)
class TurnBindsNotAlways(SingleModel):
    """In a later turn, a name that is unbound in the helper would hold what it held in an earlier one."""

    def _turn(self, block, x, c, twice):
        if twice:
            more = c * 2
        return block(x, c) if not twice else block(x, more)

    def forward(self, hidden_states, timestep, twice=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = self._turn(block, hidden_states, temb, twice)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class LastBlockByItself(SingleModel):
    """Red if only loops hold blocks (`runs_item`, analysis/loops/running.py): the last then runs on reused steps."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for index in range(len(self.transformer_blocks) - 1):
            hidden_states = self.transformer_blocks[index](hidden_states, temb)
        hidden_states = self.transformer_blocks[-1](hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class LastBlockUnderName(SingleModel):
    """The last block gets a name of its own."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks[:-1]:
            hidden_states = block(hidden_states, temb)
        last = self.transformer_blocks[-1]
        hidden_states = last(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class LoopThatOnlyCounts(SingleModel):
    """Red if every loop over the list runs it (`runs_in_loop`, loops/running.py): what it adds is this call's."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        for index, block in enumerate(self.transformer_blocks):
            hidden_states = hidden_states + temb[:, None] * index
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], later=True)
class LoopThatOnlyLooks(SingleModel):
    """A loop over the list before the blocks."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            if hasattr(block, "scale"):
                temb = temb * 2
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(), draw.single(cond=True)], later=True)
class ChosenInAnExpression(SingleModel):
    """Red if the first call in a statement is the one that counts (`_leads`, analysis/flow/truncate.py)."""

    def forward(self, hidden_states, timestep, cond=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) if cond else block(hidden_states, temb * 2)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], may_refuse=True)
class ChosenByOr(SingleModel):
    """The block is called only where the first half does not hold."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = (temb.ndim < 2 and hidden_states) or block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
