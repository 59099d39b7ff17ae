"""Finds an argument of a forward call by its name, however it was passed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class ArgumentFinder:
    """Knows the positions of a forward's parameters.

    Attributes:
        positions: Parameter name to its index among the positional arguments, `self` not counted.
    """

    positions: Mapping[str, int]

    @classmethod
    def of(cls, forward: Callable[..., Any]) -> ArgumentFinder:
        """Reads the signature of a bound forward."""
        parameters = inspect.signature(forward).parameters.values()
        names = [parameter.name for parameter in parameters if parameter.kind in _BY_POSITION]
        return cls({name: index for index, name in enumerate(names)})

    def find(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Returns what the call passes for `name`, or None if it passes nothing."""
        if name in kwargs:
            return kwargs[name]
        position = self.positions.get(name)
        return args[position] if position is not None and position < len(args) else None


def tensors_in(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """Returns the tensors that a call passes, also those in containers."""
    return [leaf for leaf in tree_leaves((args, dict(kwargs))) if isinstance(leaf, torch.Tensor)]
