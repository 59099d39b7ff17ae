"""What a call is about besides its latents and its timestep: text, image condition, guidance, options.

Within a generation a branch is given the same at each step. The same objects, untouched, cost nothing to compare; new
ones with the same values cost a comparison, which is read together with the distance.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from teaspec.runtime.generation.moments import costs_nothing_to_read, same_value
from teaspec.runtime.keep.overwrite import Kept, OverwriteWatch, unchanged

STEADY = 1
"""So many steps in a row with the very same object, and another one is that of another generation."""

Passed = Mapping[str, Any]
"""What a call passed: by parameter, and by the place in it where it is a container."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """How what a call passed differs from what was passed before.

    Attributes:
        differs: Whether a value does; a tensor where that has to be read.
        is_unknown: Whether it counts as different only because what was passed before has been written over.
        renewed: Tensors that are other objects, or were written to, whatever their values.
        where: The parameters that are known to differ.
    """

    differs: bool | torch.Tensor = False
    is_unknown: bool = False
    renewed: frozenset[str] = frozenset()
    where: tuple[str, ...] = ()


SAME = Comparison()
"""The very same objects, untouched."""


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What a branch was given at its last step.

    Attributes:
        leaves: Tensors as they were kept, and values of other kinds.
        objects: The tensors themselves, as long as they live.
        steady: By tensor, steps in a row that were given the very same object as the one before.
    """

    leaves: Passed = field(default_factory=dict)
    objects: Mapping[str, weakref.ref[torch.Tensor]] = field(default_factory=dict)
    steady: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def is_steady(self) -> bool:
        """Whether it has been the very same objects for some steps."""
        return bool(self.steady) and min(self.steady.values()) >= STEADY

    @property
    def bare(self) -> Conditioning:
        """What is left where the values need not be known: which objects it was, and for how long. Holds no memory."""
        return Conditioning({}, self.objects, self.steady)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors that are held."""
        kept = [leaf for leaf in self.leaves.values() if isinstance(leaf, Kept)]
        return tuple(tensor for one in kept for tensor in (one.tensor, one.copy) if tensor is not None)

    def compare(self, passed: Passed, watch: OverwriteWatch) -> Comparison:
        """Compares what a call passes with what was passed before.

        Args:
            passed: What it passes.
            watch: Learns which tensors their owner writes to.
        """
        if self._is_untouched(passed):
            return SAME
        differing = list(self.leaves.keys() ^ passed.keys())
        renewed, unknown, unread = set[str](), list[str](), list[torch.Tensor]()
        for path, value in passed.items():
            before = self.leaves.get(path)
            if not isinstance(before, Kept) or not isinstance(value, torch.Tensor):
                if value is not before and not same_value(value, before):
                    differing.append(path)
                continue
            is_left_alone = watch.learn(_key(path), before)
            is_same_object = value is self.objects[path]()
            if is_left_alone and (_lies_alike if is_same_object else _is_same_memory)(value, before):
                continue
            if not is_same_object:
                renewed.add(path)
            kept = before.find()
            if kept is None:
                unknown.append(path)
                continue
            found = _differs(value, kept)
            if found is True:
                differing.append(path)
            elif isinstance(found, torch.Tensor):
                unread.append(found.to(unread[0].device) if unread else found)
        if not (differing or unknown or unread or renewed):
            return SAME
        where = tuple(sorted({path.partition(".")[0] for path in (*differing, *unknown)}))
        if where or not unread:
            return Comparison(bool(where), not differing and bool(unknown), frozenset(renewed), where)
        return Comparison(torch.stack(unread).any(), False, frozenset(renewed))

    def followed_by(self, passed: Passed, comparison: Comparison, watch: OverwriteWatch) -> Conditioning:
        """Returns what is kept behind a call that was compared, and is given the same.

        Args:
            passed: What it passes.
            comparison: What `compare` found.
            watch: Knows which tensors their owner writes to.
        """
        if not comparison.renewed and self.is_steady:
            return self
        steady = {path: 0 if path in comparison.renewed else self.steady.get(path, 0) + 1 for path in self.objects}
        kept = keep(passed, watch) if comparison.renewed else self
        return Conditioning(kept.leaves, kept.objects, steady)

    def lasting(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, int]:
        """Returns for how many steps it has been these very objects, by tensor."""
        same = {path for path, tensor in tensors.items() if path in self.objects and self.objects[path]() is tensor}
        return {path: self.steady.get(path, 0) + 1 if path in same else 0 for path in tensors}

    def _is_untouched(self, passed: Passed) -> bool:
        """Returns whether what is passed is what has been passed for some steps; soon told, and most often so."""
        if not self.is_steady or self.leaves.keys() != passed.keys():
            return False
        for path, before in self.leaves.items():
            value = passed[path]
            if value is before:
                continue
            if not isinstance(value, torch.Tensor) or not isinstance(before, Kept):
                return False
            if value is not self.objects[path]() or not before.is_untouched or not _lies_alike(value, before):
                return False
        return True

    def is_doubted(self, comparison: Comparison) -> bool:
        """Returns whether an object is another one, though it was the same at the steps before.

        Args:
            comparison: What `compare` found.
        """
        return any(self.steady.get(path, 0) >= STEADY for path in comparison.renewed)


def keep(passed: Passed, watch: OverwriteWatch, before: Conditioning | None = None) -> Conditioning:
    """Keeps what a call passes: tensors are copied as long as their owner may write to them.

    Args:
        passed: What it passes.
        watch: Knows which tensors their owner writes to.
        before: What its branch was given before, where the state of that is gone.
    """
    tensors = {path: value for path, value in passed.items() if isinstance(value, torch.Tensor)}
    kept = {path: watch.keep(_key(path), value) for path, value in tensors.items()}
    objects = {path: weakref.ref(value) for path, value in tensors.items()}
    steady = {} if before is None else before.lasting(tensors)
    return Conditioning({**passed, **kept}, objects, steady)


def leaves_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what arguments hold: tensors and other values, by parameter and place."""
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if isinstance(value, torch.Tensor) or value is None:
            found[name] = value  # most are, and asking what else they might be takes longer
        else:
            found.update(_leaves(name, value))
    return found


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        items: Iterator[tuple[Any, Any]] = iter(value.items())
    elif isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        items = enumerate(value)
    else:
        yield path, value
        return
    yield f"{path}.", type(value)  # an empty container is no missing one
    for key, item in items:
        yield from _leaves(f"{path}.{key}", item)


def _key(path: str) -> str:
    return f"conditioning {path}"


def _is_same_memory(tensor: torch.Tensor, kept: Kept) -> bool:
    """Returns whether a tensor is what was kept, untouched, or a view of all of it, as `expand` makes at each step."""
    return unchanged(tensor, kept.version) and tensor.device == kept.tensor.device and _lies_alike(tensor, kept)


def _lies_alike(tensor: torch.Tensor, kept: Kept) -> bool:
    """Returns whether a tensor lies where the kept one does: a tensor's `data` can be exchanged, unseen by versions."""
    other = kept.tensor  # held, so its memory belongs to nobody else
    return (
        type(tensor) is torch.Tensor
        and not tensor.is_meta
        and tensor.data_ptr() == other.data_ptr()
        and tensor.shape == other.shape
        and tensor.dtype == other.dtype
        and tensor.stride() == other.stride()
    )


def _differs(tensor: torch.Tensor, before: torch.Tensor) -> bool | torch.Tensor:
    if (tensor.shape, tensor.dtype, tensor.device) != (before.shape, before.dtype, before.device):
        return True
    if costs_nothing_to_read(tensor):
        return not torch.equal(tensor, before)
    return (tensor.detach() != before).any()
