"""Forwards in words that cannot be cut."""

from __future__ import annotations

from tests.toys.parts import SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
_TOTAL = 0


@TOYS.refused("return-in-blocks", marker="refused: returns in the loop")
class ReturnsInLoop(SingleModel):
    """Returns from within the loop."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            if hidden_states.shape[1] > 4:
                return hidden_states  # refused: returns in the loop
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("return-in-blocks", marker="refused: returns between")
class ReturnsBehindLoop(SingleModel):
    """Returns behind the loop, before the last rebind of the stream."""

    def forward(self, hidden_states, timestep, features=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        if features:
            return (hidden_states,)  # refused: returns between
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("yield-in-forward", marker="refused: yields")
class Yields(SingleModel):
    """A generator."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            yield hidden_states  # refused: yields
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("async-forward")
class Async(SingleModel):
    """A coroutine."""

    async def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("dynamic-scope", marker="refused: locals")
class Locals(SingleModel):
    """`locals()` sees every name."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states), sorted(locals())  # refused: locals


@TOYS.refused("dynamic-scope", marker="refused: vars")
class Vars(SingleModel):
    """So does `vars()`."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        names = len(vars())  # refused: vars
        hidden_states = self.x_embedder(hidden_states) * names
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("dynamic-scope", marker="refused: eval")
class Evals(SingleModel):
    """`eval` reads names that nobody sees."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = eval("block(hidden_states, temb)")  # refused: eval
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("dynamic-scope", marker="refused: exec")
class Execs(SingleModel):
    """`exec` does what it likes."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        exec("temb.mul_(2)")  # refused: exec
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("global-statement", marker="refused: global")
class Global(SingleModel):
    """Binds a global."""

    def forward(self, hidden_states, timestep):
        global _TOTAL  # refused: global
        _TOTAL += 1
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * _TOTAL


@TOYS.refused("global-statement", marker="refused: nonlocal")
class Nonlocal(SingleModel):
    """A nested function rebinds a local of the forward."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        count = 0

        def counted(x):
            nonlocal count  # refused: nonlocal
            count += 1
            return x * count

        hidden_states = counted(self.x_embedder(hidden_states))
        for block in self.transformer_blocks:
            hidden_states = counted(block(hidden_states, temb))
        hidden_states = self.norm_out(hidden_states, temb)
        return counted(self.proj_out(hidden_states))


@TOYS.refused("rebound-closure")
class ReboundClosure(SingleModel):
    """A function made in the prelude reads a name that the blocks rebind; the postlude calls it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        factor = 2.0

        def scaled(x):
            return x * factor

        hidden_states = scaled(self.x_embedder(hidden_states))
        for block in self.transformer_blocks:
            factor = factor + 1.0
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return scaled(self.proj_out(hidden_states))


@TOYS.refused("rebound-closure")
class ReboundLambda(SingleModel):
    """A lambda of the prelude reads a name that the postlude rebinds before it calls it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        offset = 1.0
        shifted = lambda x: x + offset  # noqa: E731
        hidden_states = shifted(self.x_embedder(hidden_states))
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        offset = hidden_states.mean()
        return shifted(self.proj_out(hidden_states))


@TOYS.refused("rebound-closure")
class ReboundThroughAnother(SingleModel):
    """The function is only called in the prelude, but by a lambda that the postlude calls.

    Red if calls in other functions count (`only_called_in`, analysis/syntax/nested.py).
    """

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        factor = 2.0

        def scaled(x):
            return x * factor

        later = lambda x: scaled(x)  # noqa: E731
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            factor = factor + 1
        hidden_states = self.norm_out(later(hidden_states), temb)
        return self.proj_out(hidden_states)
