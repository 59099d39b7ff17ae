"""How much a tensor has changed, relative to what it was: sums that are read later."""

from __future__ import annotations

from typing import NamedTuple

import torch

EPSILON = 1e-8

PIECE = 2**18
"""So many elements are measured at a time on a CPU, in one place: what they become on the way stays in its cache."""


class Change(NamedTuple):
    """How much an input has changed, taken in float32 also for narrower dtypes, and not read yet.

    Sums and no means: those of several processes, each with a share of the input, can be added.

    Attributes:
        moved: Sum of the magnitudes of the change; a tensor without dimensions, on the device of the input.
        magnitude: Sum of the magnitudes before it, likewise.
        elements: How many there are.
    """

    moved: torch.Tensor
    magnitude: torch.Tensor
    elements: int

    @classmethod
    def of(cls, current: torch.Tensor, previous: torch.Tensor) -> Change:
        """Measures the change from the last step's input to this step's, of the same shape."""
        previous = previous.to(current.device)
        measured = _in_pieces if current.device.type == "cpu" else _at_once
        return cls(*measured(current, previous), current.numel())


# Sums and no norms: torch adds these up pairwise, and a norm on a CPU one by one, which loses digits.
def _at_once(current: torch.Tensor, previous: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    old = previous.to(torch.float32)
    return (current - old).abs_().sum(dtype=torch.float32), old.abs().sum()


def _in_pieces(current: torch.Tensor, previous: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if current.numel() <= PIECE:
        return _of_piece(current.reshape(-1), previous.reshape(-1), torch.empty(current.numel()))
    scratch = torch.empty(PIECE)
    moved, magnitude = [], []
    for new, old in zip(*(torch.split(one.reshape(-1), PIECE) for one in (current, previous)), strict=True):
        of_piece = _of_piece(new, old, scratch[: old.numel()])
        moved.append(of_piece[0])
        magnitude.append(of_piece[1])
    return torch.stack(moved).sum(), torch.stack(magnitude).sum()


def _of_piece(new: torch.Tensor, old: torch.Tensor, space: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    old = old.to(torch.float32)
    return torch.sub(new, old, out=space).abs_().sum(), torch.abs(old, out=space).sum()


def relative_l1(moved: torch.Tensor, magnitude: torch.Tensor, elements: int | torch.Tensor) -> torch.Tensor:
    """Returns the mean change relative to the mean magnitude before it.

    Args:
        moved: Of a `Change`, or summed over several of them; so are the others.
        magnitude: Likewise.
        elements: Likewise.

    Returns:
        A tensor without dimensions: reading it is left to `read`.
    """
    return moved / (magnitude + EPSILON * elements)  # both means have the same count
