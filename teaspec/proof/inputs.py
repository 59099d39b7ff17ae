"""From a drawn example to the arguments of one call."""

from __future__ import annotations

import inspect
import random
import zlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

import torch

from teaspec.compiler.forms.numbers import DType
from teaspec.compiler.forms.probe import Probe
from teaspec.compiler.forms.values import (
    Choice,
    Concat,
    Constant,
    DictOf,
    Dim,
    Indices,
    ListOf,
    Mask,
    ObjectOf,
    Repeat,
    Tensor,
    TupleOf,
    Value,
)

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Example:
    """What was drawn for one call. It determines the arguments: the same example gives the same values.

    Attributes:
        case: 0 for the base of the probe, k for its k-th case.
        dtype: The dtype of the module and of the `float` tensors.
        dims: The drawn dims.
        present: The optional inputs that are passed.
        return_dict: What is passed as `return_dict`; None where it is left out.
        positional: How many parameters of the forward are passed by position.
        seed: Seed of all values.
        step: Which step of a generation it is. Another step has other numbers in its tensors; shapes, masks and plain
            values stay.
        anew: The inputs that have other numbers at this step; None for all.
    """

    case: int
    dtype: torch.dtype
    dims: Mapping[str, int]
    present: frozenset[str]
    return_dict: bool | None
    positional: int
    seed: int
    step: int = 0
    anew: frozenset[str] | None = None

    @property
    def key(self) -> Hashable:
        """The same for equal examples."""
        fixed = (self.case, self.dtype, self.present, self.return_dict, self.positional, self.seed)
        return (fixed, self.step, self.anew, tuple(self.dims.items()))


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call. Every call gets its own: a forward may change what it is given."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def make_arguments(
    probe: Probe,
    example: Example,
    parameters: Mapping[str, inspect.Parameter],
    classes: Mapping[str, type] = MappingProxyType({}),
) -> Arguments:
    """Makes the arguments for one call.

    Args:
        probe: The alternative of the probe that the example was drawn for.
        example: What was drawn.
        parameters: The parameters of the forward, without `self`.
        classes: What objects may be made of, by name.

    Returns:
        New values on each call, equal for equal examples.
    """
    values = {
        name: _Maker(example, name, classes).make(given.value)
        for name, given in probe.inputs.items()
        if not given.optional or name in example.present
    }
    if example.return_dict is not None:
        values["return_dict"] = example.return_dict
    return _arrange(values, example.positional, parameters)


def _arrange(values: dict[str, Any], positional: int, parameters: Mapping[str, inspect.Parameter]) -> Arguments:
    args: list[Any] = []
    kwargs = dict(values)
    for name, parameter in list(parameters.items())[:positional]:
        has_value = name in kwargs or parameter.default is not inspect.Parameter.empty
        if parameter.kind not in _POSITIONAL or not has_value:
            break
        args.append(kwargs.pop(name) if name in kwargs else parameter.default)
    return Arguments(tuple(args), kwargs)


class _Maker:
    """Makes the values of one input. Each has its own random stream, so that dropping one leaves the others alone."""

    def __init__(self, example: Example, name: str, classes: Mapping[str, type]) -> None:
        self._example, self._classes = example, classes
        step = example.step if example.anew is None or name in example.anew else 0
        self._numbers = torch.Generator().manual_seed(zlib.crc32(f"{example.seed}/{name}/{step}".encode()))
        self._structure = random.Random(f"{example.seed}/{name}")

    def make(self, value: Value) -> Any:
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, Mask):
            return self._mask(value)
        if isinstance(value, Indices):
            sizes = (value.count, value.start, value.below)
            count, start, below = (size.evaluate(self._example.dims) for size in sizes)
            return torch.tensor(sorted(self._structure.sample(range(start, below), count)), dtype=torch.int64)
        if isinstance(value, Concat):
            return torch.cat([self.make(part) for part in value.parts], dim=-1)
        if isinstance(value, Dim):
            return value.size.evaluate(self._example.dims)
        if isinstance(value, Choice):
            return self._structure.choice(value.options)
        if isinstance(value, Repeat):
            return [self.make(value.value) for _ in range(value.count.evaluate(self._example.dims))]
        if isinstance(value, ListOf):
            return [self.make(item) for item in value.items]
        if isinstance(value, TupleOf):
            return tuple(self.make(item) for item in value.items)
        if isinstance(value, DictOf):
            return {int(key) if value.integer else key: self.make(item) for key, item in value.items.items()}
        if isinstance(value, ObjectOf):
            made = self._classes[value.class_name](**{key: self.make(item) for key, item in value.arguments.items()})
            for key, item in value.attributes.items():
                setattr(made, key, self.make(item))
            return made
        if isinstance(value, Constant):
            return value.value
        raise TypeError(f"no value can be made from a {type(value).__name__}")

    def _tensor(self, value: Tensor) -> torch.Tensor:
        shape = [size.evaluate(self._example.dims) for size in value.shape]
        dtype = self._dtype(value.dtype)
        if dtype.is_complex:
            return torch.randn(shape, generator=self._numbers, dtype=dtype)
        if not dtype.is_floating_point:
            lowest, highest = value.range or (0, 1)
            return torch.randint(int(lowest), int(highest) + 1, shape, generator=self._numbers).to(dtype)
        if value.range is None:
            numbers = torch.randn(shape, generator=self._numbers)
        else:
            lowest, highest = value.range
            numbers = lowest + (highest - lowest) * torch.rand(shape, generator=self._numbers)
        return (numbers.round() if value.integer else numbers).to(dtype)

    def _mask(self, value: Mask) -> torch.Tensor:
        *rows, length = (size.evaluate(self._example.dims) for size in value.shape)
        count = 1
        for row in rows:
            count *= row
        kept = torch.tensor([self._structure.randint(1, length) for _ in range(count)]).reshape(*rows, 1)
        return (torch.arange(length) < kept).to(self._dtype(value.dtype))

    def _dtype(self, name: str) -> torch.dtype:
        return self._example.dtype if name == "float" else _DTYPES[name]


_DTYPES = {name: getattr(torch, name) for name in get_args(DType) if name != "float"}
