"""Reuse while the errors that reused steps are expected to make add up to no more than what the user accepts.

Behind each computed step the truth is at hand beside what would have been forecast: that tells how fast errors grow
from the last computed step on. What a reused step adds to the error of the result is its expected error, weighted by
how much of its way the sampler moves with it. No constant of a model comes in.

    growth   = error at the last computed step / (its distance to the one before) ^ power
    expected = growth * (distance to the last computed step) ^ power
    spent    = spent + share of the way * expected
    reuse while spent <= tolerance * share of the way that is done by then
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from teaspec.runtime.rules.change import Change, relative_l1
from teaspec.runtime.rules.rule import Rule, Seen, Start, Sums
from teaspec.runtime.rules.steps import known_total
from teaspec.runtime.rules.verdict import NOT_FINITE, Verdict

if TYPE_CHECKING:
    from teaspec.runtime.rules.steps import Place

UNKNOWN = "error not known yet"


class Judged(NamedTuple):
    """What is known of a branch.

    Attributes:
        at: How far the sampler had come at the last computed step.
        growth: How fast errors grow, None before two steps were computed.
        spent: What reused steps have added to the error.
        allowed: What they might have.
        error: What the forecast was off by at the last computed step, not read yet; None where it was read.
        gap: The distance over which it was forecast.
    """

    at: float
    growth: float | None = None
    spent: float = 0.0
    allowed: float = 0.0
    error: Change | None = None
    gap: float = 0.0


@dataclass(frozen=True)
class Tolerance(Rule):
    """Keeps the relative error of the result near what is accepted.

    Attributes:
        tolerance: The relative error.
        power: How errors grow with the distance to the last computed step: 1 where its residual is added, 2 where the
            line is followed.

    Raises:
        ValueError: If one of them is no finite number above 0.
    """

    tolerance: float
    power: float = 1.0

    needs_error = True
    sums = 3
    columns = ("error", "expected", "spent")
    compared = "spent"

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("tolerance", "power"):
            value = getattr(self, name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number above 0, found {value!r}")

    @property
    def bound(self) -> float | None:
        """What may be spent by the end."""
        return self.tolerance

    def init(self, start: Start) -> Judged:
        """Nothing is known of errors."""
        return Judged(self._way(start.place)[0])

    def measure(self, call: Seen, memory: Judged) -> Sums | str:
        """Has the error at the last computed step read now, together with all else."""
        return (0, 0, 0) if memory.error is None else memory.error

    def numbers(self, sums: Sums) -> Sums:
        """Returns the relative error."""
        return (relative_l1(*sums),) if isinstance(sums[0], torch.Tensor) else (0.0,)

    def decide(self, numbers: Sequence[float], place: Place, memory: Judged) -> Verdict:
        """Adds what the step is expected to cost to what was spent."""
        found: dict[str, float] = {}
        growth = memory.growth
        if memory.error is not None:
            found["error"] = error = numbers[0]
            if not math.isfinite(error):
                return Verdict("compute", NOT_FINITE, found)
            growth = self._grown(growth, error, memory.gap)
        if growth is None:
            return Verdict("compute", UNKNOWN, found, yields=True)
        way, share = self._way(place)
        expected = growth * max(way - memory.at, 0.0) ** self.power
        spent, allowed = memory.spent + share * expected, self.tolerance * (way + share)
        found |= {"growth": growth, "expected": expected, "spent": spent, "allowed": allowed}
        return Verdict("reuse" if spent <= allowed else "compute", "error", found, yields=True)

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Judged) -> Judged:
        """Adds what a reused step is expected to cost; a computed one costs nothing."""
        growth = verdict.numbers.get("growth", memory.growth)
        if verdict.choice == "reuse":
            spent = verdict.numbers.get("spent", memory.spent)
            return Judged(memory.at, growth, spent, verdict.numbers.get("allowed", math.inf), gap=memory.gap)
        way = self._way(place)[0]
        return Judged(way, growth, memory.spent, math.inf, gap=way - memory.at)

    def learn(self, error: Any, memory: Judged) -> Judged:
        """Takes note of what the forecast would have been off by."""
        return memory._replace(error=error)

    def is_overdue(self, memory: Judged) -> bool:
        """Returns whether more was spent than allowed, along with others."""
        return memory.spent > memory.allowed

    def _grown(self, before: float | None, error: float, gap: float) -> float | None:
        """Returns how fast errors grow: the mean of what was known and of what is new, for one step tells little."""
        if gap <= 0:
            return before
        now: float = error / gap**self.power
        return now if before is None else (before + now) / 2

    def _way(self, place: Place) -> tuple[float, float]:
        if place.way is not None:
            return place.way
        total = known_total("tolerance", self.tolerance, place.total)
        return place.index / total, 1 / total

    def __str__(self) -> str:
        return f"tolerance {self.tolerance:g}"
