"""Fits the rescaling polynomial, and says how good it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from teaspec.calibrate.collect import Recording, Step
from teaspec.calibrate.measure import calculate_relative_l1
from teaspec.calibrate.pairs import Numbers, Pairs
from teaspec.runtime.settings.values import COEFFICIENT_COUNT, is_count

HIGHEST_ORDER = COEFFICIENT_COUNT - 1
FOLDS = 5

Interval = tuple[float, float]


@dataclass(frozen=True)
class Fit:
    """A polynomial and what there is to know before it is trusted.

    Attributes:
        coefficients: Five numbers, highest degree first.
        order: Degree of the fit; coefficients above it are 0.
        pairs: How many pairs it was fitted to.
        generations: How many branches of generations they come from.
        r2: Share of the variance of the changes that it explains.
        cross_validated_r2: The same of generations that were left out of the fit, in five folds at most; None where
            there is but one generation.
        distances: Smallest and largest distance seen. Outside of them the polynomial is a guess.
        changes: Smallest and largest change seen.
        negative: Where it is below 0, from a distance of 0 to the largest one seen: a step there lowers what has
            accumulated if it is summed as it is.
        outside: Where it leaves the range of the changes seen, within that of the distances.
    """

    coefficients: tuple[float, ...]
    order: int
    pairs: int
    generations: int
    r2: float
    cross_validated_r2: float | None
    distances: Interval
    changes: Interval
    negative: tuple[Interval, ...]
    outside: tuple[Interval, ...]

    def __call__(self, distances: Numbers) -> Numbers:
        """Rescales distances as the hook would."""
        return _values(np.array(self.coefficients), distances)


def estimate_teacache_coefficients(collected_data: Sequence[Sequence[Step]], poly_order: int = 4) -> list[float]:
    """Fits a polynomial to collected steps.

    Args:
        collected_data: One item per call of `stop_collection`, or plain lists of steps, each of one branch of one
            generation: the modulated input, and the hidden states behind the blocks.
        poly_order: Degree, from 1 to 4.

    Returns:
        The coefficients, highest degree first: `poly_order + 1` of them.

    Raises:
        ValueError: If there are too few different distances for the degree.
    """
    distances: list[float] = []
    changes: list[float] = []
    for collected in collected_data:
        for steps in collected.trajectories if isinstance(collected, Recording) else [collected]:
            for (signal, output), (next_signal, next_output) in pairwise(steps):
                distances.append(calculate_relative_l1(signal, next_signal))
                changes.append(calculate_relative_l1(output, next_output))
    return list(map(float, _polynomial(np.array(distances), np.array(changes), poly_order)))


def fit_pairs(pairs: Pairs, order: int = HIGHEST_ORDER) -> Fit:
    """Fits a polynomial to collected pairs and judges it.

    Args:
        pairs: What was collected.
        order: Degree, from 1 to 4.

    Raises:
        ValueError: If there are too few different distances for the degree, or a number that is not finite.
    """
    distances, changes = pairs.distances, pairs.changes
    fitted = _polynomial(distances, changes, order)
    seen = (float(distances.min()), float(distances.max()))
    ranged = (float(changes.min()), float(changes.max()))
    return Fit(
        coefficients=(*(0.0,) * (HIGHEST_ORDER - order), *map(float, fitted)),
        order=order,
        pairs=len(pairs),
        generations=len(pairs.trajectories),
        r2=_r2(changes, _values(fitted, distances)),
        cross_validated_r2=_cross_validated(pairs, order),
        distances=seen,
        changes=ranged,
        negative=_where(fitted, (0.0, seen[1]), (0.0,), lambda value: value < 0),
        outside=_where(fitted, seen, ranged, lambda value: not ranged[0] <= value <= ranged[1]),
    )


def _polynomial(distances: Numbers, changes: Numbers, order: int) -> NDArray[np.float64]:
    if not is_count(order, 1) or order > HIGHEST_ORDER:
        raise ValueError(f"the degree must be an integer from 1 to {HIGHEST_ORDER}, found {order!r}")
    if not (np.isfinite(distances).all() and np.isfinite(changes).all()):
        raise ValueError(
            "among the collected pairs are some that are not finite; the model's output is NaN or infinite"
        )
    different = len(np.unique(distances))
    if different <= order:
        raise ValueError(
            f"a polynomial of degree {order} needs more than {order} different distances, found {different} in "
            f"{len(distances)} pairs; collect more steps or more prompts"
        )
    return np.asarray(np.polyfit(distances, changes, order), np.float64)


def _values(polynomial: NDArray[np.floating], distances: Numbers) -> Numbers:
    return np.asarray(np.polyval(polynomial, distances), np.float64)


def _r2(found: Numbers, predicted: Numbers) -> float:
    spread = float(((found - found.mean()) ** 2).sum())
    left = float(((found - predicted) ** 2).sum())
    return 1 - left / spread if spread > 0 else float(left == 0)


def _cross_validated(pairs: Pairs, order: int) -> float | None:
    """Pairs of one generation resemble each other, so whole generations are left out."""
    folds = min(FOLDS, len(pairs.trajectories))
    if folds < 2:
        return None
    found: list[Numbers] = []
    predicted: list[Numbers] = []
    for fold in range(folds):
        kept = tuple(one for number, one in enumerate(pairs.trajectories) if number % folds != fold)
        left = tuple(one for number, one in enumerate(pairs.trajectories) if number % folds == fold)
        rest, held_out = Pairs(pairs.transformer_type, kept), Pairs(pairs.transformer_type, left)
        if len(np.unique(rest.distances)) <= order:
            return None
        found.append(held_out.changes)
        predicted.append(_values(np.polyfit(rest.distances, rest.changes, order), held_out.distances))
    return _r2(np.concatenate(found), np.concatenate(predicted))


def _where(
    polynomial: Numbers, span: Interval, levels: tuple[float, ...], holds: Callable[[float], bool]
) -> tuple[Interval, ...]:
    """The parts of a span in which something holds of a polynomial that changes only where it crosses a level."""
    low, high = span
    crossings = [
        root.real for level in levels for root in (np.poly1d(polynomial) - level).roots if abs(root.imag) < 1e-9
    ]
    borders = [low, *sorted(float(one) for one in crossings if low < one < high), high]
    parts: list[Interval] = []
    for start, end in pairwise(borders):
        if start < end and holds(float(np.polyval(polynomial, (start + end) / 2))):
            joins = bool(parts) and parts[-1][1] == start
            parts[-1:] = [(parts[-1][0], end)] if joins else [*parts[-1:], (start, end)]
    return tuple(parts)
