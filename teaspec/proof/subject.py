"""What is being proven: a spec, the probe's modules, and the extractors compiled for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from hypothesis.strategies import SearchStrategy
from torch import nn

from teaspec.proof.build import ProbeError, build_module
from teaspec.proof.compare import Violation
from teaspec.proof.draw import describe, examples
from teaspec.proof.inputs import Arguments, Example, make_arguments

if TYPE_CHECKING:
    from teaspec.compiler.forms.probe import Probe
    from teaspec.compiler.forms.spec import Spec

Extractor = Callable[..., Any]
Compile = Callable[["Spec", nn.Module], Extractor]


class Subject:
    """A spec under proof. Modules and extractors are made once per case and dtype.

    Attributes:
        spec: The spec.
        alternatives: The base of its probe and its cases.
        parameters: The parameters of the model's forward, without `self`.
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
        self.alternatives: tuple[Probe, ...] = spec.probe.alternatives
        self.parameters: Mapping[str, inspect.Parameter] = dict(
            list(inspect.signature(model_class.forward).parameters.items())[1:]
        )
        self._model_class = model_class
        self._compile = compile_spec
        self._seed = seed
        self._modules: dict[tuple[int, torch.dtype], nn.Module] = {}
        self._extractors: dict[tuple[int, torch.dtype], Extractor] = {}

    def strategy(self) -> SearchStrategy[Example]:
        """Strategy of calls."""
        return examples(self.alternatives, self.parameters)

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
        return make_arguments(self.alternatives[example.case], example, self.parameters)

    def forward(self, example: Example, arguments: Arguments | None = None) -> Any:
        """Calls the model itself.

        Args:
            example: The call.
            arguments: Its arguments, where the caller wants to see what the forward does to them.

        Raises:
            ProbeError: The model's own forward fails, so that nothing can be proven with this example.
        """
        given = arguments if arguments is not None else self.arguments(example)
        try:
            with torch.no_grad():
                return self.module(example)(*given.args, **given.kwargs)
        except Exception as error:
            raise ProbeError(f"the model's own forward fails: {type(error).__name__}: {error}") from error

    def blocks(self, example: Example) -> list[nn.Module]:
        """Every block of the loops that the spec names.

        Raises:
            Violation: A loop holds no block, so that counting them would prove nothing.
        """
        module = self.module(example)
        found = [block for loop in self.spec.blocks.loops for block in module.get_submodule(loop).children()]
        if not found:
            raise Violation(f"no block in {', '.join(self.spec.blocks.loops)}")
        return found

    def describe(self, example: Example) -> str:
        """The example as text."""
        return describe(example, self.alternatives, self.arguments(example), list(self.parameters))


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the constructor arguments: some constructors change the lists that they are given."""
    return {key: _copied(value) for key, value in config.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    return value
