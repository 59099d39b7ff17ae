"""What is being proven: a spec, the probe's modules, and the extractors compiled for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from hypothesis.strategies import SearchStrategy
from torch import nn

from teaspec.compiler.rules.objects import own_classes
from teaspec.proof.blocks import BlockCount
from teaspec.proof.build import ProbeError, build_module
from teaspec.proof.draw import describe, examples
from teaspec.proof.fitting import fit_probe
from teaspec.proof.inputs import Arguments, Example, make_arguments
from teaspec.runtime.contract.bypass import Bypass

if TYPE_CHECKING:
    from teaspec.compiler.forms.spec import Spec

Extractor = Callable[..., Any]
Compile = Callable[["Spec", nn.Module], Extractor]


@dataclass(frozen=True)
class Uncached:
    """A call of the model without any cache.

    Attributes:
        output: What it returned.
        arguments: The arguments as the call left them.
        blocks: How many blocks ran.
    """

    output: Any
    arguments: Arguments
    blocks: int


class Subject:
    """A spec under proof. Modules and extractors are made once per case and dtype.

    Attributes:
        spec: With a probe that says how to build its model.
        alternatives: The base of its probe and its cases, as far as the installed version of the model has them.
        numbers: Which ones of the spec these are: 0 is the base, k its k-th case.
        left_out: What the installed version lacks, and another has.
        parameters: The parameters of the model's forward, without `self`.
        unjudged: Why nobody can say what a reused step has to be, by case.
    """

    def __init__(self, spec: Spec, model_class: type[nn.Module], compile_spec: Compile, seed: int = 0) -> None:
        """Prepares the proof; nothing is built yet.

        Args:
            spec: A checked spec.
            model_class: The class that its `model` names.
            compile_spec: Compiles the spec for a module.
            seed: Seed of the weights.
        """
        self.spec = spec
        self.parameters: Mapping[str, inspect.Parameter] = dict(
            list(inspect.signature(model_class.forward).parameters.items())[1:]
        )
        fitted = fit_probe(spec, model_class, self.parameters)
        self.alternatives, self.numbers, self.left_out = fitted.alternatives, fitted.numbers, fitted.left_out
        self._model_class = model_class
        self._classes = own_classes(model_class)
        self._compile = compile_spec
        self._seed = seed
        self._modules: dict[tuple[int, torch.dtype], nn.Module] = {}
        self._extractors: dict[tuple[int, torch.dtype], Extractor] = {}
        self.unjudged: dict[int, str] = {}
        self._uncached: dict[Hashable, Uncached] = {}

    def strategy(self) -> SearchStrategy[Example]:
        """Strategy of calls; `return_dict`, which no probe writes, is drawn unless the spec says why not."""
        untried = {"return_dict"} & set(self.spec.probe.untried)
        return examples(self.alternatives, {name: one for name, one in self.parameters.items() if name not in untried})

    def module(self, example: Example) -> nn.Module:
        """The module that the example calls, the same for all examples of its case and dtype."""
        key = (example.case, example.dtype)
        if key not in self._modules:
            config = _plain(self.alternatives[example.case].config)
            self._modules[key] = build_module(self._model_class, config, example.dtype, self._seed)
        return self._modules[key]

    def extractor(self, example: Example) -> Extractor:
        """The extractor compiled for that module."""
        key = (example.case, example.dtype)
        if key not in self._extractors:
            self._extractors[key] = self._compile(self.spec, self.module(example))
        return self._extractors[key]

    def arguments(self, example: Example) -> Arguments:
        """New arguments for one call, equal for equal examples."""
        return make_arguments(self.alternatives[example.case], example, self.parameters, self._classes)

    def uncached(self, example: Example) -> Uncached:
        """What the model itself does in this call; it is called once for each example.

        Raises:
            ProbeError: The model's own forward fails, so that nothing can be proven with this example.
        """
        if example.key not in self._uncached:
            given = self.arguments(example)
            with BlockCount(self._blocks(example)) as count:
                output = self.call(example, given)
                self._uncached[example.key] = Uncached(output, given, count.take())
        return self._uncached[example.key]

    def by_name(self, arguments: Arguments) -> dict[str, Any]:
        """Arguments of the forward by their names."""
        return {**dict(zip(self.parameters, arguments.args, strict=False)), **arguments.kwargs}

    def goes_past(self, example: Example) -> bool:
        """Whether the spec has the example's call go past the cache."""
        given = self.by_name(self.arguments(example))
        return any(rule.holds_for(given.get(rule.argument)) for rule in map(Bypass.parse, self.spec.bypass))

    def call(self, example: Example, arguments: Arguments) -> Any:
        """Calls the model itself.

        Raises:
            ProbeError: The model's own forward fails.
        """
        try:
            with torch.no_grad():
                return self.module(example)(*arguments.args, **arguments.kwargs)
        except Exception as error:
            raise ProbeError(f"the model's own forward fails: {type(error).__name__}: {error}") from error

    def count_blocks(self, example: Example) -> BlockCount:
        """Counts the blocks that run in the example's module."""
        return BlockCount(self._blocks(example))

    def describe(self, example: Example) -> str:
        """The example as text."""
        return describe(example, self.alternatives, self.arguments(example), list(self.parameters))

    @property
    def largest(self) -> Example:
        """The call of the probe's base with the largest dims and no optional input."""
        base = self.alternatives[0]
        dims = {name: high for name, (_, high) in base.dims.items()}
        return Example(0, getattr(torch, base.dtype or "float32"), dims, frozenset(), None, 0, 0)

    def lists(self, example: Example) -> list[list[nn.Module]]:
        """The lists of blocks of the example's module."""
        module = self.module(example)
        return [list(module.get_submodule(loop).children()) for loop in self.spec.blocks.loops]

    def _blocks(self, example: Example) -> list[nn.Module]:
        return [block for blocks in self.lists(example) for block in blocks]


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the constructor arguments: some constructors change the lists that they are given."""
    return {key: _copied(value) for key, value in config.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    return value
