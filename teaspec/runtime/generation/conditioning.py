"""What a call is about besides its latents and its timestep: text, image condition, guidance, options.

Within a generation a branch is given the same at each step. The same objects, untouched, cost nothing to compare; new
ones with the same values cost a comparison, which is read together with the distance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from teaspec.runtime.generation.moments import costs_nothing_to_read, same_value
from teaspec.runtime.keep.overwrite import Kept, OverwriteWatch, unchanged

Passed = Mapping[str, Any]
"""What a call passed: by parameter, and by the place in it where it is a container."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """How what a call passed differs from what was passed before.

    Attributes:
        differs: Whether a value does; a tensor where that has to be read.
        renewed: Whether a tensor is another object or was written to, whatever its values.
        where: The parameters of which that is known.
    """

    differs: bool | torch.Tensor = False
    renewed: bool = False
    where: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What a branch was given at its last step.

    Attributes:
        leaves: Tensors as they were kept, and values of other kinds.
        steady: Steps in a row that were given the very same objects as the one before.
    """

    leaves: Passed = field(default_factory=dict)
    steady: int = 0

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
        differing = [path for path in {*self.leaves, *passed} if path not in self.leaves or path not in passed]
        renewed, unread = False, list[torch.Tensor]()
        for path, value in passed.items():
            before = self.leaves.get(path)
            if not isinstance(before, Kept) or not isinstance(value, torch.Tensor):
                if value is not before and not same_value(value, before):
                    differing.append(path)
                continue
            watch.learn(_key(path), before)
            if _is_same_memory(value, before):
                continue
            renewed = True
            found = _differs(value, before.find())
            if found is True:
                differing.append(path)
            elif isinstance(found, torch.Tensor):
                unread.append(found.to(unread[0].device) if unread else found)
        where = tuple(sorted({path.partition(".")[0] for path in differing}))
        if differing or not unread:
            return Comparison(bool(differing), renewed or bool(differing), where)
        return Comparison(torch.stack(unread).any(), True)

    def followed_by(self, passed: Passed, comparison: Comparison, watch: OverwriteWatch) -> Conditioning:
        """Returns what is kept behind a call that was compared, and is given the same.

        Args:
            passed: What it passes.
            comparison: What `compare` found.
            watch: Knows which tensors their owner writes to.
        """
        if not comparison.renewed:
            return Conditioning(self.leaves, self.steady + 1)
        return keep(passed, watch)


def keep(passed: Passed, watch: OverwriteWatch) -> Conditioning:
    """Keeps what a call passes: tensors are copied as long as their owner may write to them."""
    return Conditioning(
        {
            path: watch.keep(_key(path), value) if isinstance(value, torch.Tensor) else value
            for path, value in passed.items()
        }
    )


def leaves_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what arguments hold: tensors and other values, by parameter and place."""
    return {path: leaf for name, value in arguments.items() for path, leaf in _leaves(name, value)}


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
    if not unchanged(tensor, kept.version) or type(tensor) is not torch.Tensor or tensor.device.type == "meta":
        return False
    same = (tensor.shape, tensor.dtype, tensor.device, tensor.stride())
    other = kept.tensor  # held, so its memory belongs to nobody else
    return same == (other.shape, other.dtype, other.device, other.stride()) and tensor.data_ptr() == other.data_ptr()


def _differs(tensor: torch.Tensor, before: torch.Tensor | None) -> bool | torch.Tensor:
    if before is None:  # overwritten, so nobody knows
        return True
    if (tensor.shape, tensor.dtype, tensor.device) != (before.shape, before.dtype, before.device):
        return True
    if costs_nothing_to_read(tensor):
        return not torch.equal(tensor, before)
    return (tensor.detach() != before).any()
