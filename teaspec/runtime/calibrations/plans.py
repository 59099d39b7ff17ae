"""Plans: which steps of a generation are best computed, as `teaspec calibrate --budget` found for so many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache


@dataclass(frozen=True)
class Plan:
    """Which steps of so many are computed.

    Attributes:
        steps: Steps of the generations that it was found on.
        computed: Numbers of the computed ones, rising; the first is 0.
        forecast: What a reused step adds, for that is what the steps were placed for.
        limit: The `residual_limit` of that.
        error: Relative error of the result on prompts that were held out, None where nobody measured it.
        even: The same of as many steps evenly placed, with the same forecast.
        source: What was run.
    """

    steps: int
    computed: tuple[int, ...]
    forecast: str = "last"
    limit: float = 1.0
    error: float | None = None
    even: float | None = None
    source: str | None = None

    @property
    def is_worse_than_even(self) -> bool:
        """Whether it was measured to be worse than evenly placed steps with the same forecast."""
        return self.error is not None and self.even is not None and self.error > self.even

    def placed(self, count: int, total: int) -> tuple[int, ...]:
        """Returns the numbers of so many steps of a generation: those of the plan, interpolated where need be.

        Args:
            count: How many steps are computed.
            total: How many there are.
        """
        return _interpolated(self.computed, self.steps, count, total)

    def is_for(self, count: int, total: int) -> bool:
        """Returns whether it is about that very number of steps.

        Args:
            count: How many steps are computed.
            total: How many there are.
        """
        return (len(self.computed), self.steps) == (count, total)

    def __str__(self) -> str:
        return f"{len(self.computed)} of {self.steps} steps"


def find_plan(plans: Sequence[Plan], count: int, total: int) -> Plan | None:
    """Returns the plan for a share of the steps, None where there is none.

    Its own share may differ by less than a step, of whichever generation has fewer. Of several it is the nearest, of
    those the one for the nearest number of steps, and of those the one with the smallest error.

    Args:
        plans: Those there are.
        count: How many steps are computed.
        total: How many there are.
    """
    serving = [one for one in plans if abs(len(one.computed) * total - count * one.steps) < max(one.steps, total)]
    return min(
        serving,
        key=lambda one: (
            abs(Fraction(len(one.computed), one.steps) - Fraction(count, total)),
            abs(one.steps - total),
            math.inf if one.error is None else one.error,
        ),
        default=None,
    )


@lru_cache(maxsize=256)
def _interpolated(computed: tuple[int, ...], steps: int, count: int, total: int) -> tuple[int, ...]:
    """Follows the line through the plan's steps, in whole numbers: the same on every machine."""
    if count == 1:
        return (0,)
    found: list[int] = []
    for number in range(count):
        at = Fraction(number * (len(computed) - 1), count - 1)
        below = int(at)
        above = min(below + 1, len(computed) - 1)
        step = computed[below] + (at - below) * (computed[above] - computed[below])
        place = rounded(step * (total - 1) / max(1, steps - 1))
        # Each is a step of its own, and leaves room for those behind it.
        found.append(min(max(place, found[-1] + 1 if found else 0), total - count + number))
    return tuple(found)


def rounded(value: Fraction) -> int:
    """Rounds, halves up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
