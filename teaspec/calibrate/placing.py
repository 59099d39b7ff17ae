"""Which steps to compute, as far as recorded residuals tell: without a generation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from teaspec.calibrate.residuals import Residuals
from teaspec.runtime.rules.forecast import Forecast

Steps = tuple[int, ...]
"""Numbers of the computed steps, rising, the first is 0."""


_POWERS = (0.5, 1.0, 2.0)
"""Where the search begins: more steps at the end, even ones, more at the beginning."""

_TINY = 1e-30
"""The least squared norm that is divided by."""


class Expected(NamedTuple):
    """What reused steps are expected to come to, relative to the streams behind the blocks.

    Attributes:
        joint: The length of their errors added up as vectors: those in different directions take each other back.
        summed: The sum of their lengths.
    """

    joint: float
    summed: float


@dataclass(frozen=True, eq=False)
class Placing:
    """Judges which steps are computed by recorded residuals.

    Attributes:
        residuals: What was recorded.
        forecast: What a reused step adds.
    """

    residuals: Residuals
    forecast: Forecast
    _known: dict[tuple[Steps, int], tuple[np.ndarray, float]] = field(default_factory=dict, repr=False)

    def expected(self, computed: Steps) -> Expected:
        """Returns what the reused steps come to.

        Args:
            computed: The others.
        """
        joint, summed = np.zeros(len(self.residuals)), 0.0
        last: Steps = ()
        chosen = set(computed)
        for step in range(len(self.residuals)):
            if step in chosen:
                last = (step, *last)[: self.forecast.points]
                continue
            off, length = self._off(last, step)
            joint += off
            summed += length
        return Expected(self._length(joint), summed)

    def _off(self, last: Steps, step: int) -> tuple[np.ndarray, float]:
        """What a reused step is off by: its weights over all residuals, and its length."""
        found = self._known.get((last, step))
        if found is None:
            off = np.zeros(len(self.residuals))
            off[list(last)] = self._weights(list(last), step)
            off[step] -= 1
            off *= self.residuals.share[step] / math.sqrt(max(self.residuals.sizes[step], _TINY))
            found = self._known[last, step] = off, self._length(off)
        return found

    def _length(self, off: np.ndarray) -> float:
        return math.sqrt(max(0.0, float(off @ self.residuals.products @ off)))

    def _weights(self, last: list[int], step: int) -> tuple[float, ...]:
        times = [float(known) for known in self.residuals.at[last]]
        weights = self.forecast.weights(times, float(self.residuals.at[step]))
        if len(last) < 2 or not weights:
            return (1.0, *(0.0,) * (len(last) - 1))
        found = weights[min(len(last) - 1, len(weights)) - 1]
        return (*found, *(0.0,) * (len(last) - len(found)))

    def best(self, count: int, judge: Callable[[Expected], float]) -> Steps:
        """Returns the best steps that it finds: from several beginnings, one is moved as long as that helps.

        Args:
            count: How many are computed.
            judge: What is to be small.
        """
        total = len(self.residuals)
        begun = {self._taken_away(count, judge), *(_spread(count, total, power) for power in _POWERS)}
        return min((self._moved(steps, judge) for steps in sorted(begun)), key=lambda one: judge(self.expected(one)))

    def _taken_away(self, count: int, judge: Callable[[Expected], float]) -> Steps:
        """Takes away the step that is missed least, again and again."""
        steps = tuple(range(len(self.residuals)))
        while len(steps) > count:
            fewer = [steps[:place] + steps[place + 1 :] for place in range(1, len(steps))]
            steps = min(fewer, key=lambda one: judge(self.expected(one)))
        return steps

    def _moved(self, steps: Steps, judge: Callable[[Expected], float]) -> Steps:
        """Moves the step that helps most, until none does."""
        value = judge(self.expected(steps))
        while True:
            found, other = min(
                ((judge(self.expected(one)), one) for one in moved_anywhere(steps, len(self.residuals))),
                default=(math.inf, steps),
            )
            if not found < value:
                return steps
            value, steps = found, other


def _spread(count: int, total: int, power: float) -> Steps:
    """Steps that are evenly placed, or more densely at one end."""
    found = [0]
    for number in range(1, count):
        wanted = round((total - 1) * (number / max(1, count - 1)) ** power)
        found.append(min(max(wanted, found[-1] + 1), total - count + number))
    return tuple(found)


def moved_anywhere(steps: Steps, total: int) -> Iterator[Steps]:
    """Returns the same steps with one of them elsewhere.

    Args:
        steps: The computed ones.
        total: Steps of a generation.
    """
    free = [step for step in range(1, total) if step not in steps]
    for place in range(1, len(steps)):
        rest = steps[:place] + steps[place + 1 :]
        yield from (tuple(sorted((*rest, step))) for step in free)


def moved_by_one(steps: Steps, total: int) -> Iterator[Steps]:
    """Returns the same steps with one of them a step earlier or later, where none is there.

    Args:
        steps: The computed ones.
        total: Steps of a generation.
    """
    for place, step in list(enumerate(steps))[1:]:
        for other in (step - 1, step + 1):
            if 0 < other < total and other not in steps:
                yield (*steps[:place], other, *steps[place + 1 :])
