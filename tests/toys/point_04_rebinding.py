"""Point 4: names that are rebound on both sides of a cut, and names that the generated code might use itself."""

from __future__ import annotations

import torch

from tests.toys.parts import DualModel, SingleModel
from tests.toys.toy import Call, Draw, Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(lambda draw: [draw.single(), draw.single(patch_size=2)], reused=SINGLE, with_blocks=())
class ReboundInPostlude(SingleModel):
    """`height` and `patch_size` are bound in the prelude and rebound in the postlude (SD3, AuraFlow, CogView3Plus)."""

    def forward(self, hidden_states, timestep, patch_size=1):
        height, width = hidden_states.shape[-2:]
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        hidden_states = self.proj_out(hidden_states)
        height = height // patch_size
        width = width // patch_size
        patch_size = patch_size * hidden_states.shape[0]
        return hidden_states.reshape(hidden_states.shape[0], -1)[:, : height * width], height, width, patch_size


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class ReboundInBlocks(SingleModel):
    """`scale` is bound before, rebound between the loop rounds and bound anew, unread, in the postlude."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        scale = 1
        hidden_states = self.x_embedder(hidden_states) * scale
        for block in self.transformer_blocks:
            scale = scale + 1
            hidden_states = block(hidden_states, temb) * scale
        hidden_states = self.norm_out(hidden_states, temb)
        scale = hidden_states.shape[1]
        return self.proj_out(hidden_states) / scale


@TOYS.good(
    lambda draw: [draw.dual()],
    spec={"style": "dual", "more": "streams: {hidden: img, encoder: txt}"},
    reused=SINGLE,
    with_blocks=("context_embedder",),
)
class OtherStreamNames(DualModel):
    """The streams have other names; the arguments keep theirs and are read again in the postlude."""

    def forward(self, hidden_states, encoder_hidden_states, timestep):
        temb = self.time_embed(timestep)
        img = self.x_embedder(hidden_states)
        txt = self.context_embedder(encoder_hidden_states)
        for block in self.transformer_blocks:
            txt, img = block(img, txt, temb)
        img = self.norm_out(img, temb)
        return self.proj_out(img) + hidden_states, encoder_hidden_states


@TOYS.good(lambda draw: [draw.single(args=2, kwargs=(3,))], reused=SINGLE, with_blocks=(), carried=None)
class ClashingLocals(SingleModel):
    """Locals and arguments with names that generated code is likely to use for itself."""

    def forward(self, hidden_states, timestep, args=1, kwargs=()):
        module, context, drive, entry, live = 1, 2, 3, 4, len(kwargs)
        temb = self.time_embed(timestep)
        ctx = self.x_embedder(hidden_states) * args
        modulated_input = ctx + module
        hidden_states = modulated_input
        postprocess = run_transformer_blocks = 1
        prelude, postlude, blocks, extract, result, value, extra_states = range(7)
        for block in self.transformer_blocks:
            run_transformer_blocks = run_transformer_blocks + drive
            hidden_states = block(hidden_states, temb) * postprocess + blocks + result + value
        hidden_states = self.norm_out(hidden_states, temb)
        CacheContext = context + entry + live + postlude + extract  # noqa: N806
        Finished = prelude + extra_states  # noqa: N806
        return self.proj_out(hidden_states) * CacheContext + Finished


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), may_refuse=True)
class OtherSelf(SingleModel):
    """The first parameter is not called `self`."""

    def forward(this, hidden_states, timestep):  # noqa: N805
        temb = this.time_embed(timestep)
        hidden_states = this.x_embedder(hidden_states)
        for block in this.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = this.norm_out(hidden_states, temb)
        return this.proj_out(hidden_states)


_OFFSETS = [0.25]
_SHARED: dict[str, int] = {}


@TOYS.good(
    lambda draw: [draw.single(), draw.single(offset=2.0), draw.single(shared={"calls": 3})],
    reused=SINGLE,
    with_blocks=(),
)
class Defaults(SingleModel):
    """Defaults were evaluated once: one cannot be evaluated again, one is compared by identity."""

    def forward(self, hidden_states, timestep, offset=_OFFSETS.pop(), *, shared=_SHARED):  # noqa: B008
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states) + offset
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states), shared is _SHARED


def _positional(draw: Draw, **extra: float) -> Call:
    kwargs = draw.single(**extra).kwargs
    return Call(kwargs, (kwargs.pop("hidden_states"),))


@TOYS.good(
    lambda draw: [_positional(draw), _positional(draw, scale=2.0), _positional(draw, scale=2.0, shift=1.0)],
    raising=lambda draw: [_positional(draw, wrong=1), draw.single()],
    reused=SINGLE,
    with_blocks=(),
)
class StarredArguments(SingleModel):
    """`forward` takes keyword-only arguments and `**kwargs`, which it checks itself."""

    def forward(self, hidden_states, /, timestep, *, scale=1.0, **kwargs):
        if set(kwargs) - {"shift"}:
            raise TypeError(f"unknown: {sorted(kwargs)}")
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states) * scale
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) + kwargs.get("shift", 0.0)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * kwargs.get("shift", 1.0)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class TwoVersionsInOneStatement(SingleModel):
    """A name is read and rebound by one statement, in the prelude and again in the postlude, under a condition."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        size = hidden_states.shape[1]
        size, batch = hidden_states.shape[0], size
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * size
        hidden_states = self.norm_out(hidden_states, temb)
        if batch > 2:
            size, batch = batch, size
        return self.proj_out(hidden_states), torch.full((size,), batch)
