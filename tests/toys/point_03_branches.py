"""Point 3: what a branch does in front of its block loop is no part of the blocks."""

from __future__ import annotations

from tests.toys.parts import SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
REUSED = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(
    lambda draw: [draw.single(), draw.single(scale=0.5), draw.single(scale=2.0)],
    reused=REUSED,
    with_blocks=(),
    free=("pos_embed",),
)
class EmbedsInABranch(SingleModel):
    """Each branch makes an embedding before its loop, and the head reads it (LongCat-AudioDiT)."""

    def forward(self, hidden_states, timestep, scale=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        if scale is not None:
            if scale > 1:
                condition = temb * scale
            else:
                condition = temb - scale
            rope = self.pos_embed(hidden_states)
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, condition, rope)
            hidden_states = hidden_states * 2
        else:
            condition = temb
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, condition)
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)


@TOYS.good(
    lambda draw: [draw.single(), draw.single(double=True)],
    reused=REUSED,
    with_blocks=(),
)
class EmbedsInOneBranch(SingleModel):
    """Only the second branch does anything before its loop."""

    def forward(self, hidden_states, timestep, double=False):
        temb = condition = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        if not double:
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
        else:
            condition = condition * 2
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, condition)
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(), draw.single(mode=2)], carried=None)
class AsksForWhatItBinds(SingleModel):
    """The branch binds what its test reads: the test cannot be asked again."""

    def forward(self, hidden_states, timestep, mode=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        if mode is None:
            mode = 1
            temb = temb * 3
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
        else:
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb) * mode
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * mode


@TOYS.good(lambda draw: [draw.single(), draw.single(left=[])], carried=None, replay=False, may_refuse=True)
class AsksForWhatItEmpties(SingleModel):
    """The branch changes in place, and under another name, what its test reads."""

    def forward(self, hidden_states, timestep, left=(1, 2)):
        left = list(left)
        same = left
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        if left:
            same.clear()
            temb = temb * 3
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
        else:
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb) * 2
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)
