"""Where cached tensors are kept, and how much memory they hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

Origin = tuple[tuple[torch.device, torch.dtype], ...]
"""Device and dtype of each tensor in a value, in the order of its leaves."""


@dataclass(frozen=True)
class Storage:
    """Where, and as what, cached tensors wait for their next use.

    Attributes:
        device: The device; None leaves them where they were made.
        dtype: The dtype of residuals; None leaves them as they are.
    """

    device: torch.device | None = None
    dtype: torch.dtype | None = None

    def put(self, value: Any, *, is_residual: bool = False) -> Any:
        """Returns a value as it is stored; only residuals change their dtype."""
        if self.device is None and self.dtype is None:
            return value

        def stored(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor):
                return leaf
            dtype = self.dtype if is_residual and self.dtype is not None else leaf.dtype
            return leaf.to(device=leaf.device if self.device is None else self.device, dtype=dtype)

        return tree_map(stored, value)


def origin_of(value: Any) -> Origin:
    """Returns where the tensors in a value come from."""
    return tuple((leaf.device, leaf.dtype) for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor))


def fetch(value: Any, origin: Origin) -> Any:
    """Returns a stored value as it was; in a narrower dtype it has lost precision on the way."""
    if isinstance(value, torch.Tensor):  # most are, and walking through it as through a tree takes longer
        ((device, dtype),) = origin
        return value.to(device=device, dtype=dtype)
    origins = iter(origin)

    def fetched(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        device, dtype = next(origins)
        return leaf.to(device=device, dtype=dtype)

    return tree_map(fetched, value)


def bytes_held(tensors: Iterable[torch.Tensor]) -> int:
    """Returns the bytes of the memory that tensors keep alive; what several share counts once."""
    return sum({block.data_ptr(): block.nbytes() for block in (one.untyped_storage() for one in tensors)}.values())
