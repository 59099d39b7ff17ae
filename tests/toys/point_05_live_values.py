"""Point 5: what crosses from the blocks into the postlude, and how."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import DualModel, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
DUAL = {"style": "dual"}


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), carried={"ratio": False})
class Carried(SingleModel):
    """A value made of block outputs is carried over from the last computed step."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        ratio = hidden_states.std()
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * ratio


@TOYS.good(lambda draw: [draw.dual(), draw.dual(return_dict=False)], spec=DUAL, carried={"encoder_hidden_states": True})
class EncoderRead(DualModel):
    """The postlude reads the text stream, which so needs a residual too."""

    def forward(self, hidden_states, encoder_hidden_states, timestep, return_dict=True):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        for block in self.transformer_blocks:
            encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        output = self.proj_out(hidden_states)
        if not return_dict:
            return (output, encoder_hidden_states)
        return {"sample": output, "text": encoder_hidden_states}


@TOYS.good(
    lambda draw: [draw.dual()],
    spec={"loops": "transformer_blocks, single_transformer_blocks"},
    reused=("context_embedder", *SINGLE[:1], "mid", *SINGLE[1:]),
    with_blocks=(),
    carried={},
)
class Recomputed(DualModel):
    """What stands between the loops and does not depend on block outputs is recomputed in the postlude."""

    def __init__(self):
        super().__init__()
        self.mid = nn.Linear(8, 8)

    def forward(self, hidden_states, encoder_hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        text = self.context_embedder(encoder_hidden_states)
        for block in self.transformer_blocks:
            _, hidden_states = block(hidden_states, text, temb)
        late = self.mid(text).mean(1)
        for block in self.single_transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb + late)
        return self.proj_out(hidden_states)


@TOYS.good(
    lambda draw: [draw.dual()],
    spec={"loops": "transformer_blocks, single_transformer_blocks"},
    reused=("context_embedder", *SINGLE),
    with_blocks=(),
    carried={},
)
class StreamMadeAnew(DualModel):
    """The stream is made anew between the loops, of no block's output; what is read of it then is made again."""

    def forward(self, hidden_states, encoder_hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        text = self.context_embedder(encoder_hidden_states)
        tokens = hidden_states.shape[1]
        for block in self.transformer_blocks:
            _, hidden_states = block(hidden_states, text, temb)
        hidden_states = text.mean(1, keepdim=True).repeat(1, tokens, 1)
        weight = hidden_states.mean()
        sizes = [size + 1 for size in hidden_states.shape[:2] if size > 1]
        for block in self.single_transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * weight, sizes


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), carried=None)
class CountedInLoop(SingleModel):
    """A counter of the loop is read behind it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        block_id = 0
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            block_id += 1
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) / block_id


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), carried=None)
class LoopVariable(SingleModel):
    """The loop variables are read behind the loop."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for index, block in enumerate(self.transformer_blocks):
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * index, type(block).__name__


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), carried=None)
class EmbeddingRebound(SingleModel):
    """`temb` is rebound in the loop from block outputs; the postlude reads what it became."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            temb = temb + hidden_states.mean(1)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single(), draw.single(output_features=True)], reused=SINGLE, with_blocks=(), carried=None)
class BoundUnderCondition(SingleModel):
    """A name is bound in the blocks under a condition and read in the postlude under the same."""

    def forward(self, hidden_states, timestep, output_features=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        if output_features:
            width = hidden_states.shape[-1]
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            if output_features:
                features = hidden_states * width
        hidden_states = self.norm_out(hidden_states, temb)
        if output_features:
            return self.proj_out(hidden_states), features[..., : width // 2]
        return (self.proj_out(hidden_states),)


@TOYS.good(
    lambda draw: [draw.single(), draw.single(collect=[])],
    reused=SINGLE,
    with_blocks=(),
    carried=None,
    replay=False,
)
class CollectedInLoop(SingleModel):
    """A list made in the prelude is filled in the loop and read in the postlude; so is one of the caller's."""

    def forward(self, hidden_states, timestep, collect=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        features = []
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            features.append(hidden_states.mean())
            if collect is not None:
                collect.append(hidden_states)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states), torch.stack(features), len(collect or ())


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), carried=None, may_refuse=True)
class ChangedInLoop(SingleModel):
    """A tensor made in the prelude is changed in place in the loop and read in the postlude."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        scale = torch.ones(hidden_states.shape[0], 1, 1, dtype=hidden_states.dtype)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * scale
            scale.mul_(0.5)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * scale


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), carried=None, may_refuse=True)
class ChangedAliasInLoop(SingleModel):
    """The same through another name for the same tensor."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        scale = torch.ones(2, 1, 1, dtype=hidden_states.dtype)
        first = scale[0]
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * scale.sum()
            first.mul_(0.5)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * scale.mean()


@TOYS.good(lambda draw: [draw.single()], carried=None, residual=False)
class InPlaceStream(SingleModel):
    """The loop changes the stream in place, beginning with the tensor at block entry."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        entry = hidden_states
        for block in self.transformer_blocks:
            hidden_states.add_(block(hidden_states, temb).detach())
            hidden_states *= 0.5
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states), entry


@TOYS.good(lambda draw: [draw.single(), draw.single(kept=draw.tensor(1))], reused=SINGLE, with_blocks=())
class DroppedButNotSilent(SingleModel):
    """Statements of the postlude that reach no return value, but raise or change an argument, stay."""

    def forward(self, hidden_states, timestep, kept=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        if kept is not None:
            kept.fill_(2)
            masks = kept[:1]
            masks[0] = 7
        unused = hidden_states.shape
        unused = unused[0]
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), carried=None, may_refuse=True)
class CarriedThenChanged(SingleModel):
    """The postlude changes a carried value in place: the next reused step must not see that."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        features = []
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            features.append(hidden_states.mean())
            last = hidden_states.mean(1)
        hidden_states = self.norm_out(hidden_states, temb)
        last *= 2
        features.append(last.mean())
        return self.proj_out(hidden_states), torch.stack(features)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class AliasChangedInPostlude(SingleModel):
    """The postlude changes a view of an argument, made in the prelude, that nothing reads again: the caller sees it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        first = hidden_states[:, :1]
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        first *= 0.5
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], carried=None, may_refuse=True)
class AliasMadeInBlocks(SingleModel):
    """The loop gives a list a second name; the postlude changes it by one name and returns it by the other."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        sizes = list(hidden_states.shape)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            others = sizes
        hidden_states = self.norm_out(hidden_states, temb)
        others.pop()
        return self.proj_out(hidden_states), sizes


@TOYS.good(lambda draw: [draw.single()], carried=None, may_refuse=True, residual=False)
class EntryAliasChanged(SingleModel):
    """The loop changes another name of the tensor at block entry; the postlude reads that name."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states).detach()
        entry = hidden_states
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            entry[:, 0] += 1
        hidden_states = self.norm_out(hidden_states, temb)
        entry = hidden_states + entry
        return self.proj_out(hidden_states), entry
