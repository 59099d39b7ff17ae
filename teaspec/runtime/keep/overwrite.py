"""Tensors that somebody may write into after we took note of them.

Transformer blocks may work in place on the stream that enters them, and a caller may reuse the buffer it passed.
Copying every tensor would be safe and slow. A tensor's version counter tells afterwards whether it was written to, so
each kind of tensor is copied until a call has shown that its owner leaves it alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from teaspec.runtime.keep.memory import Storage


def version_of(tensor: torch.Tensor) -> int | None:
    """Returns the tensor's version counter, or None for an inference tensor, which has none."""
    return None if tensor.is_inference() else tensor._version


def unchanged(tensor: torch.Tensor, version: int | None) -> bool:
    """Returns whether the tensor is known to hold what it held at `version`; without a version that is never known."""
    return version is not None and version_of(tensor) == version


@dataclass(frozen=True, eq=False)
class Kept:
    """A tensor as it was at one moment.

    Attributes:
        tensor: The tensor, detached, sharing its memory; the copy where there is nothing to learn from the tensor.
        version: Its version at that moment, None where it has none.
        copy: A copy that nobody else holds, or None where the tensor is trusted to stay as it is.
    """

    tensor: torch.Tensor
    version: int | None
    copy: torch.Tensor | None

    @property
    def value(self) -> torch.Tensor:
        """The copy if there is one, else the tensor."""
        return self.tensor if self.copy is None else self.copy

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has written to the tensor since, as far as that can be known."""
        return self.version is not None and self.tensor._version == self.version

    def find(self) -> torch.Tensor | None:
        """Returns the value of that moment, or None if it has been overwritten since."""
        return self.value if self.copy is not None or self.is_untouched else None


class OverwriteWatch:
    """Learns which tensors get overwritten, and copies those alone.

    One watch belongs to one module: what the blocks overwrite is a property of the model, not of a generation.
    """

    def __init__(self) -> None:
        # Only ever added to, so that threads need not take turns.
        self._overwritten: set[str] = set()
        self._left_alone: set[str] = set()

    def suspect(self, key: str) -> None:
        """Has a tensor copied from now on: what is compiled may hand out memory that its next run writes to unseen."""
        self._overwritten.add(key)

    def keep(self, key: str, tensor: torch.Tensor, storage: Storage | None = None) -> Kept:
        """Keeps a tensor, with a copy as long as `key` is not known to be left alone.

        Args:
            key: What the tensor is.
            tensor: May be written to by the model, behind its blocks.
            storage: Where it is kept; None leaves it where it is.
        """
        version = version_of(tensor)
        tensor = tensor.detach()
        stored = tensor if storage is None else storage.put(tensor)
        if stored is not tensor:
            return Kept(stored, None, stored)
        if version is None or key in self._overwritten:
            copy = tensor.clone()
            return Kept(copy, None, copy)
        return Kept(tensor, version, None if key in self._left_alone else tensor.clone())

    def learn(self, key: str, kept: Kept) -> bool:
        """Notes whether the tensor was overwritten since it was kept. Once overwritten, suspected for good.

        Args:
            key: What the tensor is.
            kept: The tensor as it was.

        Returns:
            Whether it is known to have been left alone.
        """
        if kept.version is None:
            return False
        is_left_alone = kept.is_untouched
        (self._left_alone if is_left_alone else self._overwritten).add(key)
        return is_left_alone
