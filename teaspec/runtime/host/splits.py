"""Streams that diffusers' context parallelism splits inside the blocks, behind the point where they enter them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from teaspec.runtime.host.library import split_sequence


@dataclass(frozen=True)
class Split:
    """How a stream that enters the blocks whole is shared out among the ranks.

    Attributes:
        config: diffusers' context-parallel config; None where nothing is split.
    """

    config: Any = None

    def share(self, entry: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Returns a stream as the blocks have it: this rank's share, where they returned one.

        Args:
            entry: The stream where it enters the blocks.
            shape: The shape in which the blocks returned it.

        Returns:
            The share of that shape; the stream itself where it is not split, or not in a way that diffusers splits.
        """
        if self.config is None or entry.shape == shape or entry.ndim != len(shape):
            return entry
        axes = [axis for axis in range(entry.ndim) if entry.shape[axis] != shape[axis]]
        if len(axes) != 1:
            return entry
        try:
            share: torch.Tensor = split_sequence(entry, axes[0], self.config)
        except AssertionError:  # it cannot be shared out evenly, so it was not diffusers that split it
            return entry
        return share if share.shape == shape else entry
