"""What a toy states about itself: its spec, its inputs and exactly what the compiler should make of it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import nn

from tests.toys.parts import CHANNELS, TEXT_CHANNELS

Model = TypeVar("Model", bound=type[nn.Module])


@dataclass(frozen=True)
class Call:
    """The arguments of one call; `fresh` copies them, since a forward may change what it is given."""

    kwargs: dict[str, Any]
    args: tuple[Any, ...] = ()

    def fresh(self) -> Call:
        args, kwargs = copy.deepcopy((self.args, self.kwargs))
        return Call(kwargs, args)


class Draw:
    """Draws inputs of one size and dtype, the same for the same seed."""

    def __init__(self, batch: int, image: int, text: int, dtype: torch.dtype, seed: int = 0) -> None:
        self.batch, self.image, self.text, self.dtype = batch, image, text, dtype
        self._generator = torch.Generator().manual_seed(seed)

    def tensor(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self._generator).to(self.dtype)

    def single(self, **extra: Any) -> Call:
        """hidden_states [batch, image, CHANNELS] and timestep [batch]."""
        hidden_states, timestep = self.tensor(self.batch, self.image, CHANNELS), self.tensor(self.batch)
        return Call({"hidden_states": hidden_states, "timestep": timestep, **extra})

    def dual(self, **extra: Any) -> Call:
        """The same, and encoder_hidden_states [batch, text, TEXT_CHANNELS]."""
        return self.single(**{"encoder_hidden_states": self.tensor(self.batch, self.text, TEXT_CHANNELS), **extra})


SIZES = ((1, 2, 1, torch.float32), (2, 5, 3, torch.float32), (2, 5, 3, torch.bfloat16))


def draws() -> Iterator[Draw]:
    """One draw per size and dtype."""
    for seed, (batch, image, text, dtype) in enumerate(SIZES):
        yield Draw(batch, image, text, dtype, seed)


def spec_text(
    model: str,
    *,
    embed: str = "time_embed -> temb",
    norm: str = "transformer_blocks.0.norm1",
    style: str = "single",
    loops: str = "transformer_blocks",
    until: str = "",
    head: str = "norm_out",
    more: str = "",
) -> str:
    """Writes a spec; every toy differs from these defaults in a line or two."""
    lines = [
        "teaspec: 1",
        f"model: {model}",
        f"embed: {embed}",
        f"norm: {norm}",
        "blocks:",
        f"  style: {style}",
        f"  loops: [{loops}]",
        *([f"  until: {until}"] if until else []),
        f"head: {head}",
        *([more] if more else []),
        "probe:",
        "  config: {}",
        "  dims: {batch: [1, 2]}",
        f"  inputs: {{hidden_states: [batch, 2, {CHANNELS}]}}",
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Toy:
    """One transformer and what the compiler should make of it.

    Attributes:
        build: makes the module.
        spec: the YAML text.
        calls: the calls to try at one size, one per combination of optional inputs.
        raising: calls whose exception comes from outside the blocks: it has to come on reused steps too.
        raising_in_blocks: calls whose exception comes from the blocks.
        reused: the outermost submodules that run on a reused step, each as often as it runs; None where both keeping
            and sinking is right.
        with_blocks: the submodules outside the block loops that run only with the blocks: sunk, or between the loops.
        free: submodules that may be kept or sink: they read a name that is rebound between their place and the blocks.
        carried: the names beside the hidden stream that cross into the postlude, True for a stream.
        replay: whether a step without blocks that is handed the block outputs gives the forward's result: not so where
            the blocks change an argument of the caller's.
        later: whether a step without blocks at another time has to give what the forward gives at that time from the
            same block outputs: where no value depends on both.
        signal: the submodule whose output decides, where it is not the modulated input.
        attention: the submodule of block 0 whose first input is the modulated input; None where the spec has a signal.
        prepare: settings of the module to try, each applied to a fresh copy.
        direct: whether calling the extractor directly has to give the same (not so where a decorator changes results).
        residual: whether the hidden stream leaves the blocks in the shape it entered them.
        may_refuse: a diagnostic instead of an extractor is right too.
    """

    build: Callable[[], nn.Module]
    spec: str
    calls: Callable[[Draw], list[Call]]
    raising: Callable[[Draw], list[Call]] | None = None
    raising_in_blocks: Callable[[Draw], list[Call]] | None = None
    reused: tuple[str, ...] | None = None
    with_blocks: tuple[str, ...] | None = None
    free: tuple[str, ...] = ()
    carried: dict[str, bool] | None = field(default_factory=dict)
    attention: str | None = "transformer_blocks.0.attn"
    prepare: tuple[Callable[[nn.Module], object], ...] = (nn.Module.eval,)
    direct: bool = True
    replay: bool = True
    later: bool = False
    signal: str | None = None
    residual: bool = True
    may_refuse: bool = False

    @property
    def name(self) -> str:
        return f"{self.build.__module__.rsplit('.', 1)[-1]}-{self.build.__name__}"

    def module(
        self, dtype: torch.dtype = torch.float32, prepare: Callable[[nn.Module], object] | None = None
    ) -> nn.Module:
        """Builds the module, always with the same weights."""
        module = copy.deepcopy(_built(self.build)).to(dtype)
        (prepare or self.prepare[0])(module)
        return module


@functools.cache
def _built(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(1)
    return build()


@dataclass(frozen=True)
class Refusal:
    """A transformer that the compiler has to refuse.

    Attributes:
        build: makes the module.
        spec: the YAML text.
        code: the code of the first diagnostic.
        marker: a text that stands on exactly one line of the toy's file, where a label has to point; None where any
            label, or none, will do.
    """

    build: Callable[[], nn.Module]
    spec: str
    code: str
    marker: str | None = None

    @property
    def name(self) -> str:
        return f"{self.code}-{self.build.__name__}"


class Toys:
    """The toys of one file; `good` and `refused` are class decorators that leave the class as it is."""

    def __init__(self) -> None:
        self.good_ones: list[Toy] = []
        self.refused_ones: list[Refusal] = []

    def good(
        self, calls: Callable[[Draw], list[Call]], *, spec: dict[str, str] | None = None, **expected: Any
    ) -> Callable[[Model], Model]:
        def add(model: Model) -> Model:
            text = spec_text(f"{model.__module__}:{model.__name__}", **(spec or {}))
            self.good_ones.append(Toy(model, text, calls, **expected))
            return model

        return add

    def refused(
        self, code: str, *, marker: str | None = None, spec: dict[str, str] | None = None
    ) -> Callable[[Model], Model]:
        def add(model: Model) -> Model:
            text = spec_text(f"{model.__module__}:{model.__name__}", **(spec or {}))
            self.refused_ones.append(Refusal(model, text, code, marker))
            return model

        return add
