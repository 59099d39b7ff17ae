"""What the demo found, as frozen data."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from teaspec.demo.settings import DemoSettings
from teaspec.runtime.record import Decision


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of one quantity.

    Attributes:
        median: The median.
        low: The smallest.
        high: The largest.
        count: How many there were.
    """

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Summarises at least one measurement."""
        measured = sorted(values)
        return cls(statistics.median(measured), measured[0], measured[-1], len(measured))


@dataclass(frozen=True)
class CachedRun:
    """Generations at one threshold.

    Attributes:
        threshold: `rel_l1_thresh`.
        steps: What was decided at each step; the same in every repetition.
        seconds: Wall time of a generation.
        time_ratio: Wall time over that of the uncached generation of the same round.
        reused_cost: Median time of a reused step over that of an uncached step; 0 where none was reused.
        error: Relative L1 difference of the result to the uncached one.
    """

    threshold: float
    steps: tuple[Decision, ...]
    seconds: Spread
    time_ratio: Spread
    reused_cost: float
    error: float

    @property
    def computed(self) -> int:
        """Steps that ran the blocks."""
        return sum(step.decision == "compute" for step in self.steps)

    @property
    def reused(self) -> int:
        """Steps that reused the residual."""
        return len(self.steps) - self.computed

    @property
    def ideal_ratio(self) -> float:
        """The time ratio if a computed step cost what an uncached one does."""
        return (self.computed + self.reused * self.reused_cost) / len(self.steps)


@dataclass(frozen=True)
class HookCost:
    """Steps at which nothing is reused, with the hook and without it, on the same inputs in turn.

    Attributes:
        plain: Seconds of an unhooked step.
        hooked: Seconds of a computed step with the hook.
        ratio: Hooked over plain, pair by pair.
    """

    plain: Spread
    hooked: Spread
    ratio: Spread


@dataclass(frozen=True)
class DemoResult:
    """All that the demo found.

    Attributes:
        settings: What was run.
        parameters: Size of the transformer.
        threads: Threads that torch used.
        uncached: Wall time of an uncached generation, in seconds.
        runs: One per threshold.
        hook_cost: What the hook adds to a computed step.
        figure: The PNG with the decision per step.
        elapsed: Seconds that the whole demo took.
    """

    settings: DemoSettings
    parameters: int
    threads: int
    uncached: Spread
    runs: tuple[CachedRun, ...]
    hook_cost: HookCost
    figure: Path
    elapsed: float
