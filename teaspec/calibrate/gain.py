"""Measures what a tolerance comes to: the error of results over what the rule expects of them behind the blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from teaspec.calibrate.choosing import Added
from teaspec.calibrate.trials import Settings, Trials
from teaspec.runtime.calibrations.gains import Gain
from teaspec.runtime.rules.forecast import forecast_of
from teaspec.runtime.rules.tolerance import Tolerance

ROUNDS = 3
"""A gain changes which steps are reused, and with them what comes out: it is measured anew with the last, so often."""

_EXACT = 1e-6
"""Below it nothing was reused that could be told from rounding."""


@dataclass(frozen=True)
class Weighing:
    """What is run to measure a gain.

    Attributes:
        tolerances: The tolerances that are tried.
        added: What a reused step adds.
        seen: The generations that it is measured on.
        held_out: Those that it is judged by.
    """

    tolerances: Sequence[float]
    added: Added
    seen: Sequence[int]
    held_out: Sequence[int]

    @property
    def generations(self) -> int:
        """How many generations it makes at most."""
        runs = ROUNDS * len(self.seen) + 2 * len(self.held_out)
        return len(self.seen) + len(self.held_out) + len(self.tolerances) * runs


@dataclass(frozen=True)
class Met:
    """How a tolerance is met on generations that were held out.

    Attributes:
        tolerance: What was asked for.
        error: The relative error of the results with the gain, the geometric mean.
        without: The same without it.
    """

    tolerance: float
    error: float
    without: float


@dataclass(frozen=True)
class Weighed:
    """What was measured.

    Attributes:
        gain: How errors compare, and with which forecast.
        met: How each tolerance is met.
    """

    gain: Gain
    met: tuple[Met, ...]


def find_gain(trials: Trials, weighing: Weighing, source: str | None = None) -> Weighed:
    """Measures a gain, and judges it by generations that took no part in it.

    Args:
        trials: Runs generations.
        weighing: What is run.
        source: What was run, as a spec has it.

    Returns:
        The gain, and how the tolerances are met.

    Raises:
        ValueError: If nothing is reused at any of the tolerances.
    """
    added = weighing.added

    def error(tolerance: float, gain: float, numbers: Sequence[int]) -> float:
        rule = Tolerance(tolerance, forecast_of(*added).power, gain)
        settings: Settings = {"rule": rule, **added.settings}
        return trials.of(settings, numbers).error

    gain = 1.0
    for _ in range(ROUNDS):
        found = [(one, error(one, gain, weighing.seen)) for one in weighing.tolerances]
        off = [math.log(measured / asked) for asked, measured in found if measured > _EXACT]
        if not off:
            raise ValueError(
                f"nothing was reused at a tolerance of {', '.join(f'{one:g}' for one in weighing.tolerances)} with a "
                f"gain of {gain:g}: give larger ones"
            )
        # A tolerance is kept to within a factor: the gain is in the middle of what the tolerances ask for.
        gain = float(f"{gain * math.exp((min(off) + max(off)) / 2):.3g}")
    met = tuple(
        Met(one, error(one, gain, weighing.held_out), error(one, 1.0, weighing.held_out)) for one in weighing.tolerances
    )
    return Weighed(Gain(gain, *added, source), met)
