"""Counting the blocks that run."""

from __future__ import annotations

from torch import nn


class BlockCount:
    """Counts the calls of blocks, by forward hooks."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        """Starts counting.

        Args:
            blocks: The blocks to watch.
        """
        self._calls = 0
        self._handles = [block.register_forward_pre_hook(self._count) for block in blocks]

    def take(self) -> int:
        """Returns the calls since the last `take`."""
        calls, self._calls = self._calls, 0
        return calls

    def __enter__(self) -> BlockCount:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _count(self, *_: object) -> None:
        self._calls += 1
