"""Which thresholds are worth trying: how many steps each reuses, replayed on what was collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from teaspec.calibrate.pairs import Pairs, Trajectory
from teaspec.runtime.calibrations.calibration import Accumulate
from teaspec.runtime.rules.threshold import Accumulated, Polynomial
from teaspec.runtime.rules.threshold import Threshold as ThresholdRule

RATES = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Shares of reused steps that a threshold is looked for; 0.5 is about twice as fast."""


@dataclass(frozen=True)
class Threshold:
    """A setting and what it does.

    Attributes:
        value: `rel_l1_thresh`.
        reused: Share of the steps that reuse, replayed on the collected distances.
        measured: Share of the steps that did in generations with this setting; None where none was made.
        error: Mean relative L1 difference of their results to the uncached ones, the last residual added as it is.
        forecast: The same with `residual_order=1`, by `residual_limit`.
    """

    value: float
    reused: float
    measured: float | None = None
    error: float | None = None
    forecast: Mapping[float, float] = field(default_factory=dict)


def reuse_rate(
    pairs: Pairs, threshold: float, coefficients: Sequence[float], accumulate: Accumulate = "signed"
) -> float:
    """Replays the decisions on collected distances, first and last step computed.

    Args:
        pairs: What was collected.
        threshold: `rel_l1_thresh`.
        coefficients: The polynomial, highest degree first.
        accumulate: `signed` or `absolute`.

    Returns:
        Share of all steps that reuse.
    """
    rescale = Polynomial(tuple(coefficients))
    reused = sum(_reused(one, threshold, rescale, accumulate) for one in pairs.trajectories)
    return reused / sum(len(one.distances) + 1 for one in pairs.trajectories)


def find_thresholds(
    pairs: Pairs,
    coefficients: Sequence[float],
    accumulate: Accumulate = "signed",
    rates: Sequence[float] = RATES,
) -> tuple[Threshold, ...]:
    """Finds the smallest threshold that reuses each share of the steps.

    Args:
        pairs: What was collected.
        coefficients: The polynomial, highest degree first.
        accumulate: `signed` or `absolute`.
        rates: The shares, rising. One that no threshold reaches has none.
    """
    totals = [np.abs(np.polyval(np.array(coefficients), one.distances)).sum() for one in pairs.trajectories]
    highest = 2 * float(max(totals, default=0.0))
    if not highest > 0:
        return ()
    tried = [(float(value), reuse_rate(pairs, float(value), coefficients, accumulate)) for value in _grid(highest)]
    found: list[Threshold] = []
    for rate in rates:
        value, reused = next(((value, reused) for value, reused in tried if reused >= rate), (None, 0.0))
        if value is not None and (not found or found[-1].value < value):
            found.append(Threshold(value, reused))
    return tuple(found)


def _grid(highest: float) -> Sequence[float]:
    """Values to two digits, close enough for each to change the rate by a few steps only."""
    return sorted({float(f"{value:.2g}") for value in np.geomspace(highest / 1000, highest, 120)})


def _reused(one: Trajectory, threshold: float, rescale: Polynomial, accumulate: Accumulate) -> int:
    rule, total, count = ThresholdRule(threshold, rescale, accumulate), 0.0, 0
    for distance in one.distances[:-1]:
        verdict = rule.decide((float(distance),), None, Accumulated(total))
        reuses = verdict.choice == "reuse"
        total = verdict.numbers["accumulated"] if reuses else 0.0
        count += reuses
    return count
