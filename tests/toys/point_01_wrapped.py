"""Point 1: blocks that are called by somebody else: by checkpointing, a wrapper, a method that is handed the block."""

from __future__ import annotations

import functools

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.toys.parts import SingleBlock, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


def checkpointing(module: nn.Module) -> None:
    """Turns gradient checkpointing on, in the model and in its blocks."""
    for one in module.modules():
        one.use_checkpoint = True


BOTH = (nn.Module.eval, checkpointing)


class TwoWays(SingleBlock):
    """Its forward hands all on to another method, by checkpointing or not (U-ViT)."""

    use_checkpoint = False

    def forward(self, hidden_states, temb):
        if self.use_checkpoint:
            return checkpoint(self._forward, hidden_states, temb, use_reentrant=False)
        else:
            return self._forward(hidden_states, temb)

    def _forward(self, hidden_states, temb):
        normed, gate = self.norm1(hidden_states, emb=temb)
        hidden_states = hidden_states + gate * self.attn(normed)
        return hidden_states + self.ff(hidden_states)


@TOYS.good(lambda draw: [draw.single()], prepare=BOTH, reused=SINGLE)
class BlocksOfTwoWays(SingleModel):
    """Blocks that choose for themselves whether they are checkpointed."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([TwoWays() for _ in range(2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], prepare=BOTH, reused=SINGLE)
class WrapperMethod(SingleModel):
    """`checkpoint(self.ckpt_wrapper(block), x, c)` (DiT)."""

    use_checkpoint = False

    def ckpt_wrapper(self, module):
        def ckpt_forward(*inputs):
            outputs = module(*inputs)
            return outputs

        return ckpt_forward

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = checkpoint(self.ckpt_wrapper(block), hidden_states, temb, use_reentrant=False)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], prepare=BOTH, reused=SINGLE)
class CallBlock(SingleModel):
    """A method is given the block, and calls it in one way or the other."""

    use_checkpoint = False

    def _call_block(self, block, x, c):
        if self.use_checkpoint:
            return checkpoint(block, x, c, use_reentrant=False)
        return block(x, c)

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = self._call_block(block, hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], prepare=BOTH, reused=SINGLE)
class CustomForward(SingleModel):
    """`create_custom_forward`, a nested function (diffusers up to 0.32)."""

    use_checkpoint = False

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            if self.use_checkpoint:

                def create_custom_forward(module, return_dict=None):
                    def custom_forward(*inputs):
                        if return_dict is not None:
                            return module(*inputs, return_dict=return_dict)
                        else:
                            return module(*inputs)

                    return custom_forward

                ckpt_kwargs = {"use_reentrant": False}
                hidden_states = torch.utils.checkpoint.checkpoint(
                    create_custom_forward(block), hidden_states, temb, **ckpt_kwargs
                )
            else:
                hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], prepare=BOTH, reused=SINGLE)
class ByPartial(SingleModel):
    """`partial` and `lambda` around the block, or a function of the loop."""

    use_checkpoint = False

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            if self.use_checkpoint:
                hidden_states = checkpoint(functools.partial(block, temb=temb), hidden_states, use_reentrant=False)
            else:
                hidden_states = (lambda tokens: block(tokens, temb))(hidden_states)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], prepare=BOTH, reused=SINGLE)
class NestedFunction(SingleModel):
    """A function of the loop that reads the condition from around it."""

    use_checkpoint = False

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:

            def run(tokens, module=block):
                return module(tokens, temb)

            hidden_states = (
                checkpoint(run, hidden_states, use_reentrant=False) if self.use_checkpoint else run(hidden_states)
            )
        return self.proj_out(self.norm_out(hidden_states, temb))


def guided(func, inputs, params, flag):
    """As guided diffusion checkpoints: the inputs in a tuple."""
    return checkpoint(func, *inputs, use_reentrant=False) if flag else func(*inputs)


guided_checkpoint = guided


class Guided(TwoWays):
    """Hands its method over with a tuple of inputs (guided diffusion)."""

    def forward(self, hidden_states, temb):
        return guided_checkpoint(self._forward, (hidden_states, temb), self.parameters(), self.use_checkpoint)


@TOYS.good(lambda draw: [draw.single()], prepare=BOTH, reused=SINGLE)
class GuidedBlocks(BlocksOfTwoWays):
    """Blocks that are checkpointed with their inputs in a tuple."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([Guided() for _ in range(2)])


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class WrappedOnce(SingleModel):
    """The wrapper is bound to a name before it is called."""

    def around(self, module):
        return functools.partial(self.run, module)

    def run(self, module, tokens, *, condition):
        scaled = tokens
        return module(scaled, condition) + 0

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            called = self.around(block)
            hidden_states = called(hidden_states, condition=temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class HandedAway(SingleModel):
    """A method is handed the block, and does much before it calls it."""

    def run(self, block, tokens, condition):
        for _ in range(1):
            tokens = tokens * 2
        return block(tokens, condition)

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = self.run(block, hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


def applied(module, *args):
    """Runs what it is given."""
    for one in [module]:
        args = [one(*args)]
    return args[0]


@TOYS.refused("norm-not-always-reached", marker="refused: who knows")
class HandedToAFunction(SingleModel):
    """A function is handed the block, and it does not show what it gives it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = applied(block, hidden_states, temb)  # refused: who knows
        return self.proj_out(self.norm_out(hidden_states, temb))


class OneOfTwo(TwoWays):
    """Only one of its ways leads to the norm."""

    def forward(self, hidden_states, temb):
        if self.use_checkpoint:
            return self.ff(hidden_states)  # refused: by another way
        else:
            return self._forward(hidden_states, temb)


@TOYS.refused("norm-not-always-reached", marker="refused: by another way")
class BlocksOfOneOfTwo(SingleModel):
    """A way of the block passes by its norm."""

    def __init__(self):
        super().__init__()
        self.transformer_blocks = nn.ModuleList([OneOfTwo() for _ in range(2)])

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.refused("norm-not-always-reached", marker="refused: changed on the way")
class ChangedOnTheWay(SingleModel):
    """The function around the block changes what it gives it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:

            def run(module, tokens):
                tokens.mul_(2)
                return module(tokens, temb)

            hidden_states = run(block, hidden_states + 1)  # refused: changed on the way
        return self.proj_out(self.norm_out(hidden_states, temb))
