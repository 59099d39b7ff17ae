"""Point 9: comprehensions, walrus, targets, nested functions."""

from __future__ import annotations

import torch

from tests.toys.parts import CrossModel, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
CROSS = {"attention": "transformer_blocks.0.attn1"}


@TOYS.good(lambda draw: [draw.dual()], reused=SINGLE, with_blocks=("context_embedder",), **CROSS)
class Comprehensions(CrossModel):
    """Comprehensions whose variables have the names of locals, nested, with conditions, in all three parts."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        sizes = [[temb for temb in range(hidden_states) if temb] for hidden_states in hidden_states.shape]
        hidden_states = self.x_embedder(hidden_states)
        text = [self.context_embedder(text) for text in encoder_hidden_states.split(1, dim=1)]
        total = {hidden_states: sum(row) for hidden_states, row in enumerate(sizes)}
        encoder_hidden_states = torch.cat(text, dim=1)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, encoder_hidden_states, temb)
            hidden_states = hidden_states + sum(size for row in sizes for size in row)
        hidden_states = self.norm_out(hidden_states, temb)
        temb = {timestep for timestep in (1, 2)}
        return torch.stack([self.proj_out(hidden_states) for hidden_states in hidden_states]), total, temb


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class Walrus(SingleModel):
    """Names bound inside conditions and comprehensions."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        if (length := hidden_states.shape[1]) > 2 and (half := length // 2):
            scale = half
        else:
            scale = 1
        parts = [(last := size) for size in hidden_states.shape]
        hidden_states = (entry := self.x_embedder(hidden_states)) * scale
        for block in self.transformer_blocks:
            hidden_states = (out := block(hidden_states, temb)) + out * last
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * length + entry.mean(), parts


@TOYS.good(lambda draw: [draw.single()], carried=None)
class Augmented(SingleModel):
    """Augmented assignment to numbers, to the argument (in place, the caller sees it), to an item and an attribute."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        count = 1
        count += hidden_states.shape[1]
        hidden_states += 0.5
        timestep[:1] *= 2
        self.seen += count
        totals = {"count": 0}
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            totals["count"] += count
            hidden_states = block(hidden_states, temb)
            hidden_states += totals["count"]
        count **= 2
        hidden_states = self.norm_out(hidden_states, temb)
        self.seen -= 1
        return self.proj_out(hidden_states) * self.seen / count


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class Targets(SingleModel):
    """Starred, nested, chained and annotated targets; an annotation alone."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        batch, *rest = hidden_states.shape
        (length, (width,)), other = (rest[0], rest[1:]), batch
        scale: float = 0.5
        bias: torch.Tensor
        first = second = [1.0]
        second[0] += batch
        hidden_states = self.x_embedder(hidden_states) * first[0]
        for block in self.transformer_blocks:
            hidden_states, *_ = block(hidden_states, temb) * scale, None
        hidden_states = self.norm_out(hidden_states, temb)
        bias = self.proj_out(hidden_states).mean()
        first, *second = length, width, other
        return bias + self.proj_out(hidden_states), first, second


@TOYS.good(lambda draw: [draw.single()], carried=None)
class NestedFunctions(SingleModel):
    """Functions and lambdas made in each part, which capture names that are bound once."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        factor = hidden_states.shape[1]

        def scaled(x, times=factor):
            def inner(y):
                return y * factor

            return inner(x) + times

        image = self.x_embedder(hidden_states)
        halved = lambda x: x / factor  # noqa: E731
        hidden_states = scaled(image)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)

            def again(x, scale=0.5):
                return x * scale + factor

            hidden_states = halved(again(hidden_states))
        hidden_states = self.norm_out(hidden_states, temb)

        def finish(x):
            return self.proj_out(x) * factor

        return finish(scaled(hidden_states)), list(map(lambda size: size + factor, image.shape))


@TOYS.good(lambda draw: [draw.single()], may_refuse=True, carried=None)
class CustomForward(SingleModel):
    """The block is called by a function made in the loop (the old way of checkpointing)."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:

            def custom(*inputs, block=block):
                return block(*inputs)

            hidden_states = custom(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], may_refuse=True, carried=None)
class ClosureOverLoop(SingleModel):
    """Functions made in the loop capture the loop variable and run later, when it has its last value."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        later = []
        for index, block in enumerate(self.transformer_blocks):
            hidden_states = block(hidden_states, temb)
            later.append(lambda x: x * (index + 1))  # noqa: B023
        hidden_states = self.norm_out(hidden_states, temb)
        return later[0](self.proj_out(hidden_states))


@TOYS.good(lambda draw: [draw.single()], may_refuse=True, carried=None)
class GeneratorAcrossCut(SingleModel):
    """A generator made in the prelude is consumed in the blocks and in the postlude."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        weights = (index + 1.0 for index in range(10))
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * next(weights)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * next(weights)


@TOYS.good(lambda draw: [draw.single()], carried=None)
class IteratorBeforeBlocks(SingleModel):
    """An iterator is advanced by statements of which one sinks and one stays."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        sizes = iter([1.0, 2.0, 3.0])
        late = next(sizes)
        early = next(sizes)
        hidden_states = self.x_embedder(hidden_states) * early
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * late
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(note='it\'s {odd} \n "quoted"')], reused=SINGLE, with_blocks=())
class Strings(SingleModel):
    """Strings that a template or an unparser might spoil."""

    def forward(self, hidden_states, timestep, note=""):
        """Docstring with {braces}, {{ jinja }}, {% tags %} and a backslash \\."""
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        text = f"{note!r:>30}|{{}}{hidden_states.shape[1]:{'0>'}{4}d}" + "{{ note }}" + '{% raw %}"""' + "\t\x00é\n"
        raw = rb"\x00" + b"{#"
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        # A comment with {{ braces }}.
        return self.proj_out(hidden_states), text, raw, 1e400, -0.0, 1_000j, ..., None


@TOYS.good(lambda draw: [draw.single(), draw.single(mode="double")], reused=SINGLE, with_blocks=())
class Match(SingleModel):
    """`match` binds names in patterns."""

    def forward(self, hidden_states, timestep, mode=None):
        temb = self.time_embed(timestep)
        match (mode, hidden_states.shape):
            case ("double", [batch, *rest]):
                scale = 2.0 * batch
            case (None, torch.Size() as shape):
                scale, rest = 1.0, [len(shape)]
            case _:
                raise ValueError(mode)
        hidden_states = self.x_embedder(hidden_states) * scale
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states), rest


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class LocalImports(SingleModel):
    """Imports and a class in `forward`."""

    def forward(self, hidden_states, timestep):
        import math

        from torch.nn import functional as F  # noqa: N812

        class Pair:
            def __init__(self, value):
                self.value = F.silu(value)

        temb = self.time_embed(timestep)
        hidden_states = F.silu(self.x_embedder(hidden_states))
        pair = Pair(temb)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, pair.value) * math.pi
        hidden_states = self.norm_out(hidden_states, Pair(pair.value).value)
        return F.gelu(self.proj_out(hidden_states))
