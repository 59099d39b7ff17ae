"""Chooses the steps and the forecast of a budget: by recorded residuals first, then by generations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from teaspec.calibrate.placing import Expected, Placing, Steps, moved_by_one
from teaspec.calibrate.residuals import Residuals
from teaspec.calibrate.trials import Settings
from teaspec.runtime.rules.forecast import Kind, forecast_of
from teaspec.runtime.rules.schedule import Mask, next_in_turn

JUDGES: tuple[Callable[[Expected], float], ...] = (
    lambda one: one.joint,
    lambda one: one.summed,
    lambda one: (one.joint * one.summed) ** 0.5,
)
"""What generations choose between: whether errors take each other back in the result, residuals cannot tell."""


class Added(NamedTuple):
    """What reused steps add.

    Attributes:
        kind: The forecast.
        limit: The `residual_limit` of that.
    """

    kind: Kind
    limit: float

    @property
    def settings(self) -> Settings:
        """As `teaspec.enable` takes it."""
        limit = {} if self.kind == "last" else {"residual_limit": self.limit}  # it is followed nowhere
        return {"forecast": self.kind, **limit}

    def __str__(self) -> str:
        return str(forecast_of(*self))


FORECASTS = tuple(Added(kind, limit) for kind in ("blend", "line", "parabola") for limit in (1.0, 0.75, 0.5))
"""What is tried where nobody says what; `last` was behind all of them on both trained models."""


class Choice(NamedTuple):
    """What is computed, and what the other steps add.

    Attributes:
        computed: Numbers of the computed steps.
        added: What the others add.
    """

    computed: Steps
    added: Added

    def settings(self, steps: int) -> Settings:
        """As `teaspec.enable` takes it, for generations of so many steps."""
        return {"rule": Mask(mask_of(self.computed, steps)), **self.added.settings}


@dataclass(frozen=True)
class Choosing:
    """Chooses for one budget.

    Attributes:
        recorded: The residuals that places are looked for by.
        forecasts: What reused steps may add.
        error: Generates with a choice, and returns the error.
        moves: So many neighbours of the best are generated at most.
    """

    recorded: Residuals
    forecasts: Sequence[Added]
    error: Callable[[Choice], float]
    moves: int

    @cached_property
    def _placings(self) -> dict[Added, Placing]:
        return {one: Placing(self.recorded, forecast_of(*one)) for one in self.forecasts}

    def best(self, budget: int) -> Choice:
        """Returns the best that it finds: of the beginnings, and of neighbours, as long as one is better.

        Args:
            budget: How many steps are computed.
        """
        known: dict[Choice, float] = {}

        def error(one: Choice) -> float:
            if one not in known:
                known[one] = self.error(one)
            return known[one]

        best = min(self._beginnings(budget, error), key=error)
        left = self.moves
        while left > 0:
            near = [one for one in self._neighbours(best) if one not in known][:left]
            better = None
            for one in near:
                left -= 1
                if error(one) < error(best):
                    better = one
                    break
            if better is None:
                break
            best = better
        return best

    def _beginnings(self, budget: int, error: Callable[[Choice], float]) -> list[Choice]:
        """The even steps with each forecast, and those that residuals tell, with the better half of the forecasts."""
        even = evenly(budget, len(self.recorded))
        found = sorted((Choice(even, added) for added in self.forecasts), key=error)
        for one in found[: better_half(len(self.forecasts))]:
            placing = self._placings[one.added]
            found += (Choice(placing.best(budget, judge), one.added) for judge in JUDGES)
        return found

    def _neighbours(self, choice: Choice) -> Iterator[Choice]:
        """The same with one step moved by one, the most promising first; behind them with other forecasts."""
        placing = self._placings[choice.added]
        moved = moved_by_one(choice.computed, len(self.recorded))
        for steps in sorted(moved, key=lambda one: JUDGES[-1](placing.expected(one))):
            yield Choice(steps, choice.added)
        yield from (Choice(choice.computed, other) for other in self.forecasts if other != choice.added)


def better_half(forecasts: int) -> int:
    """Returns with how many of so many forecasts other steps than even ones are begun with."""
    return (forecasts + 1) // 2


def mask_of(computed: Sequence[int], steps: int) -> tuple[bool, ...]:
    """Returns, for each step, whether it is computed.

    Args:
        computed: Numbers of those that are.
        steps: Steps of a generation.
    """
    chosen = set(computed)
    return tuple(step in chosen for step in range(steps))


def evenly(budget: int, steps: int) -> Steps:
    """Returns the steps that a budget without a plan computes.

    Args:
        budget: How many.
        steps: Steps of a generation.
    """
    found: list[int] = [0]
    while len(found) < budget:
        found.append(int(next_in_turn(found[-1], budget - len(found), steps, 1)))
    return tuple(found)
