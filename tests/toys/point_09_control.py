"""Point 9: early return and raise, `with`, `try`, `while`."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import torch

from tests.toys.parts import CrossModel, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
CROSS = {"attention": "transformer_blocks.0.attn1"}
OPEN: list[str] = []


@contextmanager
def opened(name):
    """Writes down what is open."""
    OPEN.append(name)
    try:
        yield len(OPEN)
    finally:
        OPEN.remove(name)


@TOYS.good(
    lambda draw: [draw.single(), draw.single(skip=True), draw.single(skip=None), draw.single(return_dict=False)],
    reused=None,
)
class EarlyReturn(SingleModel):
    """Returns before the blocks, and early in the postlude."""

    def forward(self, hidden_states, timestep, skip=False, return_dict=True):
        if skip:
            return (hidden_states,)
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        if skip is None:
            if return_dict:
                return
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        if not return_dict:
            return (self.proj_out(hidden_states),)
        return {"sample": self.proj_out(hidden_states)}


@TOYS.good(lambda draw: [draw.single(), draw.single(store=[])], reused=SINGLE, with_blocks=(), carried=None)
class NoReturn(SingleModel):
    """The forward falls off its end: what it computes is stored."""

    def forward(self, hidden_states, timestep, store=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        if store is not None:
            store.append(self.proj_out(hidden_states))
            return store
        self.sample = self.proj_out(hidden_states)


@TOYS.good(
    lambda draw: [draw.single()],
    raising=lambda draw: [draw.single(fail="prelude"), draw.single(fail="postlude")],
    raising_in_blocks=lambda draw: [draw.single(fail="blocks")],
    reused=SINGLE,
    with_blocks=(),
)
class EarlyRaise(SingleModel):
    """Raises before, in and behind the blocks."""

    def forward(self, hidden_states, timestep, fail=None):
        if fail == "prelude":
            raise ValueError(f"no {fail} please")
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            if fail == "blocks":
                raise KeyError(fail) from None
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        if fail == "postlude":
            raise RuntimeError(fail, 3)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], carried=None)
class WithAroundLoop(SingleModel):
    """The block loop stands in a `with`; other `with` blocks stand before and behind it."""

    def forward(self, hidden_states, timestep):
        with torch.no_grad(), opened("prelude") as depth:
            temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        with opened("blocks") as more:
            hidden_states = hidden_states * depth
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb) * more
        with opened("postlude"):
            hidden_states = self.norm_out(hidden_states, temb)
            return self.proj_out(hidden_states) * len(OPEN)


@TOYS.good(lambda draw: [draw.single()], may_refuse=True, carried=None, attention=None, direct=False)
class WithAroundAll(SingleModel):
    """One `with` holds prelude, blocks and postlude."""

    def forward(self, hidden_states, timestep):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            temb = self.time_embed(timestep)
            hidden_states = self.x_embedder(hidden_states)
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
            hidden_states = self.norm_out(hidden_states, temb)
            output = self.proj_out(hidden_states)
        return output


@TOYS.good(lambda draw: [draw.single()], may_refuse=True, carried=None)
class HeadBesideLoop(SingleModel):
    """Loop and head stand in the same `if`."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        if hidden_states.shape[1] > 0:
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
            hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], carried=None, reused=SINGLE, with_blocks=())
class Tries(SingleModel):
    """`try` before and behind the loop."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        try:
            scale = {"a": 1}["b"]
        except KeyError as error:
            scale = len(error.args) + 1
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * scale
        try:
            hidden_states = hidden_states / scale
        finally:
            hidden_states = hidden_states + 1
        hidden_states = self.norm_out(hidden_states, temb)
        try:
            return self.proj_out(hidden_states)
        finally:
            scale = None


@TOYS.good(lambda draw: [draw.single()], carried=None, may_refuse=True)
class TryAroundLoop(SingleModel):
    """The block loop stands in a `try`."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        done = []
        try:
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
        except ArithmeticError:
            hidden_states = hidden_states * 0
        else:
            hidden_states = hidden_states + 1
        finally:
            done.append(2)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * done[0]


@TOYS.good(lambda draw: [draw.dual()], **CROSS)
class TryAroundSunk(CrossModel):
    """A `try` that only the blocks need, with a fallback."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        try:
            text = self.context_embedder(encoder_hidden_states[:, :3].unflatten(1, (3, 1)))
            text = text.flatten(1, 2)
        except RuntimeError as error:
            text = self.context_embedder(encoder_hidden_states) + len(str(error)[:1])
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class Whiles(SingleModel):
    """`while` with `else`, `break` and `continue` in every part."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        size = hidden_states.shape[1]
        while size > 1:
            size //= 2
            if size == 3:
                continue
            if size == 2:
                break
        else:
            size = 5
        hidden_states = self.x_embedder(hidden_states) * size
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            if hidden_states.shape[1] > 100:
                break
        else:
            hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb)
        while size:
            size -= 1
            hidden_states = hidden_states + size
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(enabled=False), draw.single(enabled=True)], carried=None, may_refuse=True)
class ContextChosen(SingleModel):
    """The context manager is a value of the prelude, entered in the blocks."""

    def forward(self, hidden_states, timestep, enabled=False):
        temb = self.time_embed(timestep)
        context = opened("chosen") if enabled else nullcontext(7)
        hidden_states = self.x_embedder(hidden_states)
        with context as value:
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb) + value
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * value
