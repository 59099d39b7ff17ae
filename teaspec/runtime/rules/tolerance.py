"""Reuse while the errors that reused steps make add up to no more than what the user accepts.

Behind each computed step the truth is at hand beside what would have been forecast. What they differ by is a vector: it
tells how far the steps that were reused before were off, and in which direction. Errors that point in different
directions add up to less than their lengths, so the vectors are added up, each weighted by how much of its way the
sampler moved with it. The next reused steps are expected to err in the direction of the last. No constant of a model
comes in. What may have added up by a part of the way grows as errors do: evenly where the last residual is added, whose
errors all point along the residual's own movement, and with the root where a line is followed, whose errors are as
good as independent.

What the head and the sampler make of an error behind the blocks, nobody can see there: where it was measured for a
model, the gain says it, and it is 1 otherwise.

    weight   = sum over the reused steps since the last computed one of
               share of the way * (distance to it / distance between the last two computed) ^ power
    offset   = offset + weight * what the forecast was off by, at each computed step
    expected = gain * |offset + weight * what the forecast was off by at the last computed step|, relative to streams
    reuse while expected <= tolerance * (share of the way that is done by then) ^ (1 / power, at least 1/2)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from teaspec.runtime.rules.missed import Missed, Vectors, moved, product
from teaspec.runtime.rules.rule import Rule, Seen, Start, Sums
from teaspec.runtime.rules.steps import known_total
from teaspec.runtime.rules.verdict import NOT_FINITE, Verdict

if TYPE_CHECKING:
    from teaspec.runtime.rules.forecast import Forecast
    from teaspec.runtime.rules.steps import Place

UNKNOWN = "error not known yet"


class Known(NamedTuple):
    """Lengths and an angle, relative to the streams behind the blocks.

    Attributes:
        error: What the forecast was off by at the last computed step.
        offset: What all reused steps before it add up to.
        along: The inner product of both.
    """

    error: float
    offset: float
    along: float

    def behind(self, weight: float) -> float:
        """Returns what all reused steps add up to behind some more, which err in the direction of the last error."""
        return math.sqrt(max(self.offset**2 + 2 * weight * self.along + (weight * self.error) ** 2, 0.0))


class Judged(NamedTuple):
    """What is known of a branch.

    Attributes:
        at: How far the sampler had come at the last computed step.
        gap: Its distance to the one before, 0 where there is none.
        run: Shares of the way of the steps reused since, each times its distance to that step, to the rule's power.
        ended: The same of the steps reused before it.
        offset: What all steps reused before it add up to, by stream; None before an error was known.
        sums: Of the last error and the offset, not read yet; empty where they were read.
        known: What was read of them, None before two steps were computed.
        expected: What reused steps are expected to add up to by now.
        allowed: What they might.
    """

    at: float
    gap: float = 0.0
    run: float = 0.0
    ended: float = 0.0
    offset: Vectors | None = None
    sums: tuple[torch.Tensor, ...] = ()
    known: Known | None = None
    expected: float = 0.0
    allowed: float = math.inf


@dataclass(frozen=True)
class Tolerance(Rule):
    """Keeps the relative error of the result near what is accepted.

    Attributes:
        tolerance: The relative error.
        power: How errors grow with the distance to the last computed step: 1 where its residual is added, 2 where the
            line is followed.
        gain: The error of a result over what is expected behind the blocks.
        measured_with: What a reused step adds where the settings do not say it: what the gain was measured with.

    Raises:
        ValueError: If one of them is no finite number above 0.
    """

    tolerance: float
    power: float = 1.0
    gain: float = 1.0
    measured_with: Forecast | None = None

    needs_error = True
    sums = 4
    columns = ("error", "offset", "expected")
    compared = "expected"

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("tolerance", "power", "gain"):
            value = getattr(self, name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number above 0, found {value!r}")

    def forecast(self, place: Place) -> Forecast | None:
        """Returns what the gain was measured with."""
        return self.measured_with

    @property
    def bound(self) -> float | None:
        """What errors may add up to by the end."""
        return self.tolerance

    def init(self, start: Start) -> Judged:
        """Nothing is known of errors."""
        return Judged(self._way(start.place)[0])

    def measure(self, call: Seen, memory: Judged) -> Sums | str:
        """Has the error at the last computed step read now, together with all else."""
        return memory.sums or (0, 0, 0, 0)

    def numbers(self, sums: Sums) -> Sums:
        """Returns the relative error, the relative offset, and their inner product."""
        error, offset, along, size = sums
        if not isinstance(size, torch.Tensor):
            return (0.0, 0.0, 0.0)
        assert isinstance(error, torch.Tensor) and isinstance(offset, torch.Tensor)
        return ((error / size).sqrt(), (offset / size).sqrt(), along / size)

    def decide(self, numbers: Sequence[float], place: Place, memory: Judged) -> Verdict:
        """Expects one more reused step, and compares what all add up to then with what is accepted."""
        known = Known(*numbers) if memory.sums else memory.known
        if known is None or memory.gap <= 0:
            return Verdict("compute", UNKNOWN, yields=True)
        found = {"error": known.error, "offset": known.offset, "along": known.along}
        if not all(map(math.isfinite, known)):
            return Verdict("compute", NOT_FINITE, found)
        way, share = self._way(place)
        run = memory.run + share * max(way - memory.at, 0.0) ** self.power
        expected, allowed = (
            self.gain * known.behind(run / memory.gap**self.power),
            self.tolerance * (way + share) ** max(1 / self.power, 0.5),
        )
        found |= {"run": run, "expected": expected, "allowed": allowed}
        return Verdict("reuse" if expected <= allowed else "compute", "error", found, yields=True)

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Judged) -> Judged:
        """Counts a reused step; behind a computed one what was counted is told what it was off by."""
        told = verdict.numbers
        known = Known(told["error"], told["offset"], told["along"]) if "along" in told else memory.known
        way, share = self._way(place)
        if verdict.choice == "compute":
            return Judged(way, way - memory.at, ended=memory.run, offset=memory.offset)
        run = memory.run + share * max(way - memory.at, 0.0) ** self.power
        expected, allowed = told.get("expected", memory.expected), told.get("allowed", math.inf)
        return memory._replace(run=run, sums=(), known=known, expected=expected, allowed=allowed)

    def learn(self, error: Missed, memory: Judged) -> Judged:
        """Takes note of what the forecast would have been off by, and with it the steps that were reused."""
        weight = memory.ended / memory.gap**self.power if memory.gap > 0 else 0.0
        offset = moved(memory.offset or {}, weight, error.off)
        pairs = ((error.off, error.off), (offset, offset), (offset, error.off), (error.values, error.values))
        return memory._replace(offset=offset, sums=tuple(product(*pair) for pair in pairs))

    def is_overdue(self, memory: Judged) -> bool:
        """Returns whether more was expected than allowed, along with others."""
        return memory.expected > memory.allowed

    def _way(self, place: Place) -> tuple[float, float]:
        if place.way is not None:
            return place.way
        total = known_total("tolerance", self.tolerance, place.total)
        return place.index / total, 1 / total

    def __str__(self) -> str:
        gain = "" if self.gain == 1 else f", gain {self.gain:g}"
        return (
            f"tolerance {self.tolerance:g}{gain}{'' if self.measured_with is None else f' with {self.measured_with}'}"
        )
