"""The TeaCache rule: compute this step or reuse the last residual. Arithmetic only.

1. distance = mean|current - previous| / (mean|previous| + 1e-8)
2. rescaled = polynomial(distance)
3. accumulated = accumulated + rescaled, or + |rescaled|
4. Reuse while accumulated < threshold; else compute, and start again at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from teaspec.runtime.calibrations.calibration import Accumulate

Choice = Literal["compute", "reuse"]

EPSILON = 1e-8

PIECE = 2**18
"""So many elements are measured at a time on a CPU, in one place: what they become on the way stays in its cache."""


@dataclass(frozen=True, eq=False)
class Change:
    """How much an input has changed, taken in float32 also for narrower dtypes, and not read yet.

    Sums and no means: those of several processes, each with a share of the input, can be added.

    Attributes:
        moved: Sum of the magnitudes of the change; a tensor without dimensions, on the device of the input.
        magnitude: Sum of the magnitudes before it, likewise.
        count: Number of elements.
    """

    moved: torch.Tensor
    magnitude: torch.Tensor
    count: int

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


def relative_l1(moved: torch.Tensor, magnitude: torch.Tensor, count: int | torch.Tensor) -> torch.Tensor:
    """Returns the mean change relative to the mean magnitude before it.

    Args:
        moved: Of a `Change`, or summed over several of them; so are the others.
        magnitude: Likewise.
        count: Likewise.

    Returns:
        A tensor without dimensions: reading it is left to `read`.
    """
    return moved / (magnitude + EPSILON * count)  # both means have the same count


def read(*numbers: Any) -> list[Any]:
    """Returns the values of tensors without dimensions, read in one go: an accelerator is waited for once.

    What is no tensor is returned as it is.
    """
    given = [number for number in numbers if isinstance(number, torch.Tensor)]
    if not given:
        return list(numbers)
    if len(given) == 1:
        value = given[0].to(torch.float32).item()
        return [value if isinstance(number, torch.Tensor) else number for number in numbers]
    found = iter(torch.stack([number.to(given[0].device, torch.float32) for number in given]).tolist())
    return [next(found) if isinstance(number, torch.Tensor) else number for number in numbers]


@dataclass(frozen=True)
class Polynomial:
    """A polynomial in one variable, by Horner's rule.

    Attributes:
        coefficients: Highest degree first, as in `numpy.poly1d`.
    """

    coefficients: tuple[float, ...]

    def __call__(self, x: float) -> float:
        """Returns the value at `x`."""
        value = 0.0
        for coefficient in self.coefficients:
            value = value * x + coefficient
        return value


@dataclass(frozen=True)
class Verdict:
    """What the rule says about one step.

    Attributes:
        choice: `compute` or `reuse`.
        reason: `distance` where the rule decided, else what forced the computation.
        distance: Relative L1 change, None where it was not measured.
        rescaled: The polynomial's value at the distance, None where it was not measured.
        accumulated: What was compared with the threshold.
        carried: What the next step adds to.
    """

    choice: Choice
    reason: str
    distance: float | None = None
    rescaled: float | None = None
    accumulated: float = 0.0
    carried: float = 0.0


def decide(
    distance: float, accumulated: float, threshold: float, rescale: Callable[[float], float], accumulate: Accumulate
) -> Verdict:
    """Applies the rule to one measured distance. Anything that is not finite computes.

    Args:
        distance: This step's relative L1 change.
        accumulated: The branch's sum so far.
        threshold: `rel_l1_thresh`.
        rescale: The rescaling polynomial.
        accumulate: `signed` or `absolute`.
    """
    rescaled = rescale(distance)
    total = accumulated + (abs(rescaled) if accumulate == "absolute" else rescaled)
    if not math.isfinite(total):
        return Verdict("compute", "non-finite distance", distance, rescaled, total)
    if total < threshold:
        return Verdict("reuse", "distance", distance, rescaled, total, carried=total)
    return Verdict("compute", "distance", distance, rescaled, total)
