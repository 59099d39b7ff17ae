"""Forwards whose head reads what could only be taken over from an earlier call.

Red if `_is_made_again` (analysis/cut/crossing.py) says False where it refuses, or if slice does not ask `left_behind`.
"""

from __future__ import annotations

import torch

from tests.toys.parts import SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()


class KeepingBlock(SingleBlock):
    """Leaves on itself what it attended to."""

    def forward(self, hidden_states, temb, image_rotary_emb=None):
        norm_hidden_states, gate = self.norm1(hidden_states, emb=temb)
        hidden_states = hidden_states + gate * self.attn(norm_hidden_states)
        self.keep(hidden_states)
        return hidden_states

    def keep(self, hidden_states):
        self.pooled = hidden_states.mean(1)


class KeepingModel(SingleModel):
    """Its blocks leave something on themselves."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = torch.nn.ModuleList([KeepingBlock() for _ in range(2)])


@TOYS.refused("stale-value", marker="refused: drawn between")
class NoiseBetween(SingleModel):
    """Noise that is drawn behind the loop cannot be drawn a second time."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        noise = torch.randn_like(temb)  # refused: drawn between
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb + noise)
        return self.proj_out(hidden_states)


@TOYS.refused("stale-value", marker="refused: in place")
class ConditionInPlace(SingleModel):
    """The condition is changed in place in the loop, though not by the stream."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            temb.mul_(0.5)  # refused: in place
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("stale-value", marker="refused: held together")
class HeldTogether(SingleModel):
    """The stream and the condition stand in one dict, which is read behind the blocks."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        state = {"x": hidden_states, "c": temb * 2}  # refused: held together
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, state["c"])
        return self.proj_out(hidden_states) + state["x"].mean()


@TOYS.refused("stale-value", marker="refused: by a helper")
class ChangedByHelper(SingleModel):
    """A helper that cannot be written out returns the stream and a condition that it made anew."""

    def run(self, hidden_states, temb, scale):
        if scale is None:
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb)
            return hidden_states, temb * 0.5
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * scale
        return hidden_states, temb * scale

    def forward(self, hidden_states, timestep, scale=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        hidden_states, temb = self.run(hidden_states, temb, scale)  # refused: by a helper
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("stale-value", marker="refused: by a nested function")
class ChangedByNestedFunction(SingleModel):
    """A nested function runs the block and makes the condition anew."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:

            def turn(x, condition):
                return block(x, condition), condition * 0.5  # noqa: B023

            hidden_states = block(hidden_states, temb)
            hidden_states, temb = turn(hidden_states, temb)  # refused: by a nested function
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("stale-value", marker="refused: iterated once")
class IteratedOnce(SingleModel):
    """The loop takes its conditions from an iterator, which is used up."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        conditions = (temb * factor for factor in (1.0, 0.5))
        for block, condition in zip(self.transformer_blocks, conditions):  # refused: iterated once
            hidden_states = block(hidden_states, condition)
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)


@TOYS.refused("stale-value", marker="refused: needs the shape")
class NeedsTheShape(SingleModel):
    """The condition is spread over as many tokens as the blocks return."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)  # refused: needs the shape
        spread = temb[:, None].repeat(1, hidden_states.shape[1], 1)
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb) * spread
        return self.proj_out(hidden_states)


@TOYS.refused("state-of-blocks", marker="refused: on the last block")
class ReadsLastBlock(KeepingModel):
    """The head reads what the last block left on itself."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        pooled = self.transformer_blocks[-1].pooled  # refused: on the last block
        hidden_states = self.norm_out(hidden_states, temb + pooled)
        return self.proj_out(hidden_states)


@TOYS.refused("state-of-blocks", marker="refused: on every block")
class ReadsEveryBlock(SingleModel):
    """A comprehension reads what every block left on itself."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            block.pooled = hidden_states.mean(1)
        pooled = sum(each.pooled for each in self.transformer_blocks)  # refused: on every block
        hidden_states = self.norm_out(hidden_states, temb + pooled)
        return self.proj_out(hidden_states)


@TOYS.refused("state-of-blocks", marker="refused: of the loop")
class ReadsLoopVariable(SingleModel):
    """The name of the loop still stands for the last block."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            block.pooled = hidden_states.mean(1)
        pooled = getattr(block, "pooled", 0)  # refused: of the loop
        hidden_states = self.norm_out(hidden_states, temb + pooled)
        return self.proj_out(hidden_states)


@TOYS.refused("state-of-blocks", marker="refused: through a method")
class ReadsThroughMethod(SingleModel):
    """A method of the model collects what the blocks left on themselves."""

    def collected(self):
        return torch.stack([block.pooled for block in self.transformer_blocks]).mean(0)

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            block.pooled = hidden_states.mean(1)
        hidden_states = self.norm_out(hidden_states, temb + self.collected())  # refused: through a method
        return self.proj_out(hidden_states)


@TOYS.refused("state-of-blocks", marker="refused: set on the model")
class ReadsOwnAttribute(SingleModel):
    """The loop sets an attribute of the model, and the head reads it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        self.loss = 0.0
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            self.loss = self.loss + hidden_states.mean()  # refused: set on the model
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states), self.loss


@TOYS.refused("state-of-blocks", marker="refused: set by its name")
class ReadsAttributeSetByName(SingleModel):
    """The loop sets an attribute of the model by its name, and a method that the head calls reads it."""

    def lost(self):
        return self.loss

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            setattr(self, "loss", hidden_states.mean())  # refused: set by its name
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states), self.lost()


@TOYS.refused("state-of-blocks", marker="refused: gathered on the model")
class ReadsOwnList(SingleModel):
    """The loop fills a list that the model keeps, under another name, and the head reads it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        self.losses = []
        losses = self.losses
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            losses.append(hidden_states.mean())  # refused: gathered on the model
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states), torch.stack(self.losses)


@TOYS.refused("stale-value", marker="refused: takes from a list")
class ListUsedUp(SingleModel):
    """The loop takes from a list that holds what the caller passed: it is no view of that, and is not as it was."""

    def forward(self, hidden_states, timestep, scale=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        scales = [2.0, 1.0, scale or 3.0]
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            last = scales.pop()  # refused: takes from a list
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * last, scales


@TOYS.refused("stale-value", marker="refused: under another name")
class ArgumentUnderAnotherName(SingleModel):
    """The loop changes an argument in place under another name, which the head reads."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        time = timestep
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            time.mul_(0.5)  # refused: under another name
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * time[:, None, None]


@TOYS.refused("state-of-blocks", marker="refused: summed for the trainer")
class LeavesASum(SingleModel):
    """Nobody in the forward reads it; behind a reused step it would be that of another call."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        self.aux_loss = 0
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            self.aux_loss += hidden_states.mean()  # refused: summed for the trainer
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("state-of-blocks", marker="refused: left for the caller")
class LeavesTheLast(SingleModel):
    """Nobody in the forward reads it; behind a reused step it would be that of another call."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            self.last = hidden_states  # refused: left for the caller
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("state-of-blocks", marker="refused: gathered for the caller")
class LeavesAList(SingleModel):
    """Nobody in the forward reads it; behind a reused step it would be that of another call."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        self.features = []
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            self.features.append(hidden_states)  # refused: gathered for the caller
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("stale-value", marker="refused: made and changed")
class MadeAndChanged(SingleModel):
    """What the blocks make, they change in place as well, if an argument says so: made again, it would lack that."""

    def forward(self, hidden_states, timestep, scaled=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        options = {"scale": 3}
        if scaled:
            options.pop("scale")  # refused: made and changed
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * len(options)


@TOYS.refused("stale-value", marker="refused: captured")
class Captured(SingleModel):
    """The condition is captured beside the stream: it belongs to the call all the same."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            match (temb, hidden_states):  # refused: captured
                case (torch.Tensor() as condition, torch.Tensor() as tokens):
                    hidden_states = tokens * 0.5
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)


@TOYS.refused("stale-value", marker="refused: handed back")
class HandedBackByTurn(SingleModel):
    """A nested function of one turn hands the condition back, which the head reads."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)

        def turn(block, x, c):
            x = block(x, c)
            return x, c

        for block in self.transformer_blocks:
            hidden_states, condition = turn(block, hidden_states, temb)  # refused: handed back
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)


@TOYS.refused("stale-value", marker="refused: changed beside")
class ChangedBesideTheStream(SingleModel):
    """The stream and a condition come out of one tuple; to change the one in place is not to change the other."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        both = (hidden_states * 2, temb * 2)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            tokens, condition = both
            hidden_states.mul_(0.5)
            tokens.add_(hidden_states)
            torch.relu_(condition)  # refused: changed beside
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)


@TOYS.refused("stale-value", marker="refused: captured before")
class CapturedBefore(SingleModel):
    """A name that was captured before the blocks is another one for what they change in place."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        match (hidden_states, temb):
            case (_, condition):
                pass
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            temb.mul_(0.5)  # refused: captured before
        hidden_states = self.norm_out(hidden_states, condition)
        return self.proj_out(hidden_states)


def both(x, c):
    return x, c


@TOYS.refused("stale-value", marker="refused: changed under another name")
class ChangedUnderAnotherName(SingleModel):
    """The loop changes the condition in place, under a name that it was given by way of a tuple.

    Red if only names are asked for that are plainly one object (`_changed_elsewhere` in analysis/cut/crossing.py).
    """

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        pair = both(hidden_states, temb)
        hidden_states, condition = pair
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            condition.mul_(0.5)  # refused: changed under another name
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.refused("state-of-blocks", marker="refused: what the model holds")
class AttributeUnderAnotherName(SingleModel):
    """What the prelude leaves on the model is changed between the blocks, under another name.

    Red if `_set_to` in analysis/cut/crossing.py finds no attribute.
    """

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        self.entered = hidden_states
        entering = hidden_states
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        entering *= 0.5  # refused: what the model holds
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.refused("stale-value", marker="refused: captured, perhaps")
class CapturedUnderAnotherName(SingleModel):
    """The same of a name that a `match` binds, which may leave it unbound.

    Red if names are asked for that are surely bound (`_changed_elsewhere` in analysis/cut/crossing.py).
    """

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        match (hidden_states, temb):
            case (_, condition):
                pass
        same = (lambda value: value)(temb)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            same.mul_(0.5)  # refused: captured, perhaps
        return self.proj_out(self.norm_out(hidden_states, condition))
