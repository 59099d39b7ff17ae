"""Comparing two outputs of a forward: their types, shapes, dtypes and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch


class ViolationError(AssertionError):
    """A property does not hold.

    Attributes:
        max_abs_difference: Largest absolute difference between the compared tensors, where tensors were compared.
    """

    def __init__(self, message: str, max_abs_difference: float | None = None) -> None:
        super().__init__(message)
        self.max_abs_difference = max_abs_difference


def named_tensors(value: Any, name: str = "output") -> Iterator[tuple[str, torch.Tensor]]:
    """Yields every tensor inside `value` with a readable path, in a fixed order."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from named_tensors(item, f"{name}[{key!r}]")
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from named_tensors(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from named_tensors(item, f"{name}[{index}]")
    else:
        for key, item in (attributes_of(value) or {}).items():
            yield from named_tensors(item, f"{name}.{key}")


def attributes_of(value: Any) -> dict[str, Any] | None:
    """What an object holds that is nothing but its attributes, such as a cache; None for all other values."""
    has_equality = any("__eq__" in vars(cls) for cls in type(value).__mro__[:-1])
    return vars(value) if hasattr(value, "__dict__") and not has_equality and not callable(value) else None


def require_same_form(expected: Any, actual: Any) -> None:
    """Requires the same output type, and the same tensors by place, shape and dtype.

    Raises:
        ViolationError: Where the two differ in form.
    """
    if type(expected) is not type(actual):
        raise ViolationError(
            f"the output is a {type(actual).__name__}, the forward returns a {type(expected).__name__}"
        )
    wanted = [(name, tuple(tensor.shape), tensor.dtype) for name, tensor in named_tensors(expected)]
    got = [(name, tuple(tensor.shape), tensor.dtype) for name, tensor in named_tensors(actual)]
    if wanted != got:
        raise ViolationError(f"the output holds {_forms(got)}, that of the forward holds {_forms(wanted)}")


def require_equal(expected: Any, actual: Any, what: str) -> None:
    """Requires equality bit for bit, as `torch.equal` sees it.

    Raises:
        ViolationError: Where the form or a value differs; it carries the largest absolute difference.
    """
    require_same_form(expected, actual)
    for (name, left), (_, right) in zip(named_tensors(expected), named_tensors(actual), strict=True):
        if not torch.equal(left, right):
            difference = max_abs_difference(left, right)
            raise ViolationError(f"{what}: {name} differs, largest absolute difference {difference:.3g}", difference)


def require_close(expected: Any, actual: Any, what: str, tolerance: float) -> None:
    """Requires that no element differs by more than `tolerance` times the largest magnitude of the expected tensor.

    Raises:
        ViolationError: Where the form differs or a difference is larger; it carries the largest absolute difference.
    """
    require_same_form(expected, actual)
    for (name, left), (_, right) in zip(named_tensors(expected), named_tensors(actual), strict=True):
        difference = max_abs_difference(left, right)
        allowed = tolerance * max(1.0, float(left.detach().abs().max()))
        # written so that a NaN difference fails
        if not difference <= allowed:
            raise ViolationError(
                f"{what}: {name} differs, largest absolute difference {difference:.3g}, allowed {allowed:.3g}",
                difference,
            )


def require_telling(value: Any) -> None:
    """Requires an output that can tell a right forward from a wrong one: finite, and not the same everywhere.

    Raises:
        ViolationError: Where the output holds no tensor, a NaN or an infinity, or one value only.
    """
    tensors = list(named_tensors(value))
    if not tensors:
        raise ViolationError(f"the forward returned no tensor but a {type(value).__name__}")
    for name, tensor in tensors:
        if not bool(torch.isfinite(tensor).all()):
            raise ViolationError(f"{name} is not finite: a comparison with it would prove nothing")
        if tensor.numel() > 1 and bool((tensor == tensor.flatten()[0]).all()):
            raise ViolationError(f"{name} is the same everywhere: a comparison with it would prove nothing")


def max_abs_difference(left: torch.Tensor, right: torch.Tensor) -> float:
    """Largest absolute difference of two tensors of the same shape, computed in float64; 0 for empty tensors."""
    if left.numel() == 0:
        return 0.0
    return float((left.detach().double() - right.detach().double()).abs().max())


def same_value(left: Any, right: Any) -> bool:
    """Whether two arguments are equal in depth: tensors bit for bit, containers item by item, objects by attribute."""
    if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
        return (
            isinstance(left, torch.Tensor)
            and isinstance(right, torch.Tensor)
            and left.dtype == right.dtype
            and torch.equal(left, right)
        )
    if type(left) is not type(right):
        return False
    if isinstance(left, Mapping):
        return list(left) == list(right) and all(same_value(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same_value, left, right))
    if attributes_of(left) is not None:
        return same_value(attributes_of(left), attributes_of(right))
    return bool(left == right)


def _forms(entries: list[tuple[str, tuple[int, ...], torch.dtype]]) -> str:
    return ", ".join(f"{name} {list(shape)} {str(dtype).removeprefix('torch.')}" for name, shape, dtype in entries)
