"""Point 7: layers on the way to the attention that note something on themselves at each call."""

from __future__ import annotations

import torch
from torch import nn

from tests.toys.parts import WIDTH, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


class State:
    """What a quantised layer keeps of its weight."""

    is_training = False
    has_fp16_weights = False
    CB: torch.Tensor | None = None


def multiplied(x, weight, bias, state=None):
    return nn.functional.linear(x, weight if state is None or state.CB is None else state.CB, bias)


class FourBits(nn.Linear):
    """As bitsandbytes' Linear4bit, with the weight as it is."""

    compute_type_is_set = False
    compute_dtype = None

    def set_compute_type(self, x):
        self.compute_dtype = x.dtype

    def forward(self, x):
        if self.bias is not None and self.bias.dtype != x.dtype:
            self.bias.data = self.bias.data.to(x.dtype)
        if not self.compute_type_is_set:
            self.set_compute_type(x)
            self.compute_type_is_set = True
        inp_dtype = x.dtype
        if self.compute_dtype is not None:
            x = x.to(self.compute_dtype)
        bias = None if self.bias is None else self.bias.to(self.compute_dtype)
        return multiplied(x, self.weight, bias).to(inp_dtype)


class EightBits(nn.Linear):
    """As bitsandbytes' Linear8bitLt, with the weight as it is."""

    def __init__(self, *args):
        super().__init__(*args)
        self.state = State()

    def forward(self, x):
        self.state.is_training = self.training
        if self.state.CB is None:
            self.init_8bit_state()
        if self.bias is not None and self.bias.dtype != x.dtype:
            self.bias.data = self.bias.data.to(x.dtype)
        out = multiplied(x, self.weight, bias=self.bias, state=self.state)
        if not self.state.has_fp16_weights and self.state.CB is not None:
            self.weight.data = self.state.CB
        return out

    def init_8bit_state(self):
        self.state.CB = self.weight.data


class Noting(nn.Linear):
    """Notes what it is given, by its form."""

    def forward(self, x):
        dtype = x.dtype
        self.compute_dtype = dtype
        self.seen: torch.Size = x.shape
        return nn.functional.linear(x, self.weight, self.bias)


class Quantised(SingleModel):
    """All its layers with a weight are of one class."""

    kind = Noting

    def __init__(self):
        super().__init__()
        self.replace(self)

    def replace(self, module):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, self.kind(child.in_features, child.out_features))
            else:
                self.replace(child)

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, replay=False)
class FormsNoted(Quantised):
    """Layers that note the dtype and the shape of their input."""


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, replay=False)
class InFourBits(Quantised):
    """Layers that set up their dtype when they are first called."""

    kind = FourBits


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, replay=False)
class InEightBits(Quantised):
    """Layers that keep their state in an object, and put their weight in another form."""

    kind = EightBits


class Packing(nn.Linear):
    """As bitsandbytes' Linear4bit has it in 0.50: the bias is put in another form under a name of its own."""

    def forward(self, x):
        bias = self.bias
        if bias is not None:
            if bias.dtype != x.dtype:
                bias.data = bias.data.to(x.dtype)
            bias = bias.to(x.dtype)
        return multiplied(x, self.weight, bias)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, replay=False)
class BiasUnderAnotherName(Quantised):
    """Layers that put their bias in another form, which it then has.

    Red if `without_conversions` in analysis/effects/settling.py leaves nothing out.
    """

    kind = Packing


class Averaging(nn.Linear):
    """Follows its input."""

    average = 0.0

    def forward(self, x):
        self.average = 0.9 * self.average + 0.1 * x.abs().mean()
        return nn.functional.linear(x / (1 + self.average), self.weight, self.bias)


class Delayed(nn.Linear):
    """Computes with what it noted at the call before."""

    last = None

    def forward(self, x):
        scale = 1.0 if self.last is None else 2.0
        self.last = x.shape
        return nn.functional.linear(x * scale, self.weight, self.bias)


class Toggling(nn.Linear):
    """Every second call differs."""

    odd = False

    def forward(self, x):
        if self.odd:
            self.odd = False
        else:
            self.odd = True
        return nn.functional.linear(x, self.weight * (2 if self.odd else 1), self.bias)


class Remembering(nn.Linear):
    """Adds what it was given before."""

    before = None

    def forward(self, x):
        given = x
        if self.before is not None:
            x = x + self.before
        self.before = given
        return nn.functional.linear(x, self.weight, self.bias)


class Collecting(nn.Linear):
    """Collects under another name what it was given, and computes with how much that is."""

    def __init__(self, *args):
        super().__init__(*args)
        self.given = []

    def forward(self, x):
        given = self.given
        given.append(x.shape)
        return nn.functional.linear(x / len(given), self.weight, self.bias)


class Counting(nn.Linear):
    """Counts its calls in a dict, under another name of another name."""

    def __init__(self, *args):
        super().__init__(*args)
        self.counts = {"calls": 0}

    def forward(self, x):
        counts = self.counts
        mine = counts
        mine["calls"] += 1
        return nn.functional.linear(x / mine["calls"], self.weight, self.bias)


class Halving(nn.Linear):
    """Halves its bias at each call, under another name."""

    def forward(self, x):
        bias = self.bias
        bias.data = bias.data.mul(0.5)
        return nn.functional.linear(x, self.weight, bias)


class Following(nn.Linear):
    """Takes other data for those of its bias."""

    def forward(self, x):
        bias = self.bias
        bias.data = self.weight.data[0].to(x.dtype)
        return nn.functional.linear(x, self.weight, bias)


class OfOneKind(Quantised):
    """The linear layer of the first norm is of a class; the others are torch's."""

    def replace(self, module):
        for block in self.transformer_blocks:
            block.norm1.linear = self.kind(WIDTH, 3 * WIDTH)


@TOYS.refused("norm-slice-has-effects")
class Averages(OfOneKind):
    kind = Averaging


@TOYS.refused("norm-slice-has-effects")
class Delays(OfOneKind):
    kind = Delayed


@TOYS.refused("norm-slice-has-effects")
class Toggles(OfOneKind):
    kind = Toggling


@TOYS.refused("norm-slice-has-effects")
class Remembers(OfOneKind):
    kind = Remembering


@TOYS.refused("norm-slice-has-effects")
class Collects(OfOneKind):
    kind = Collecting


@TOYS.refused("norm-slice-has-effects")
class Counts(OfOneKind):
    kind = Counting


@TOYS.refused("norm-slice-has-effects")
class Halves(OfOneKind):
    """Red if `without_conversions` in analysis/effects/settling.py takes any method for a conversion."""

    kind = Halving


@TOYS.refused("norm-slice-has-effects")
class Follows(OfOneKind):
    """Red if `_converts` in analysis/effects/settling.py does not ask whose data they are."""

    kind = Following
