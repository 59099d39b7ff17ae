"""Finds plans, judges them by generations that took no part in it, and ranks rules and forecasts at equal cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from teaspec.calibrate.choosing import JUDGES, Added, Choice, Choosing, better_half, evenly
from teaspec.calibrate.halving import halved
from teaspec.calibrate.residuals import Residuals
from teaspec.calibrate.trials import Outcome, Settings, Trials
from teaspec.runtime.calibrations.plans import Plan
from teaspec.runtime.rules.forecast import Kind

HALVINGS = 6
"""So often the interval is halved in which the tolerance of a cost lies."""

_PUBLISHED = Added("last", 1.0)
"""What TeaCache adds as it was published; ranked in any case."""

_TOLERANCES = (1e-4, 1.0)


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        budgets: Numbers of computed steps.
        forecasts: What reused steps may add.
        seen: The generations that plans are chosen by.
        held_out: Those that they are judged by.
        moves: So many neighbours of the best steps are generated at most.
        ranks: Whether rules and forecasts are generated, too, for the ranking.
        thresholds: The threshold for a share of reused steps, None where none is known for it.
    """

    budgets: Sequence[int]
    forecasts: Sequence[Added]
    seen: Sequence[int]
    held_out: Sequence[int]
    moves: int = 24
    ranks: bool = True
    thresholds: Callable[[float], Settings | None] = lambda _: None

    @property
    def generations(self) -> int:
        """How many generations the search makes at most."""
        forecasts = len(self.forecasts)
        tried = forecasts + len(JUDGES) * better_half(forecasts) + self.moves
        judged = forecasts + 4 if self.ranks else 2
        of_budget = tried * len(self.seen) + judged * len(self.held_out) + (HALVINGS if self.ranks else 0)
        return len(self.seen) + len(self.held_out) + len(self.budgets) * of_budget


@dataclass(frozen=True)
class Ranked:
    """A rule beside a forecast, on prompts that were held out.

    Attributes:
        budget: The number of computed steps that it is compared at.
        rule: What decides.
        forecast: What a reused step adds.
        limit: The `residual_limit` of that.
        error: Relative error of the result, the geometric mean.
        computed: Computed steps of a branch, on average.
    """

    budget: int
    rule: str
    forecast: Kind
    limit: float
    error: float
    computed: float


@dataclass(frozen=True)
class Planning:
    """What a search found.

    Attributes:
        plans: One for each budget, with the forecast that it was best with.
        ranking: Rules and forecasts, for each budget the best first.
    """

    plans: tuple[Plan, ...]
    ranking: tuple[Ranked, ...]

    @property
    def worth_writing(self) -> tuple[Plan, ...]:
        """The plans that are no worse than even steps with the same forecast, on the prompts that were held out."""
        return tuple(one for one in self.plans if not one.is_worse_than_even)


def find_plans(trials: Trials, search: Search) -> Planning:
    """Searches, and judges what was found by generations that took no part in it.

    Args:
        trials: Runs generations.
        search: What is looked for.

    Returns:
        A plan for each budget, and the ranking.

    Raises:
        ValueError: If a budget has more steps than a generation, or nothing can be recorded.
    """
    recorded = Residuals.mean(trials.recorded(search.seen))
    steps = len(recorded)
    for budget in search.budgets:
        if not 1 <= budget <= steps:
            raise ValueError(
                f"a generation has {steps} steps, and a plan for {budget} was asked for: give budgets from 1 to {steps}"
            )

    def error(one: Choice) -> float:
        return trials.of(one.settings(steps), search.seen).error

    choosing = Choosing(recorded, search.forecasts, error, search.moves)
    plans: list[Plan] = []
    ranking: list[Ranked] = []
    for budget in search.budgets:
        chosen = choosing.best(budget)
        found = trials.of(chosen.settings(steps), search.held_out)
        compared = dict.fromkeys((*search.forecasts, _PUBLISHED)) if search.ranks else [chosen.added]
        even = {one: trials.of(Choice(evenly(budget, steps), one).settings(steps), search.held_out) for one in compared}
        plans.append(Plan(steps, chosen.computed, *chosen.added, found.error, even[chosen.added].error))
        rows = [("plan", chosen.added, found), *(("even", added, one) for added, one in even.items())]
        if search.ranks:
            rows += ((rule, chosen.added, one) for rule, one in _others(trials, search, budget, steps, chosen.added))
        ranked = [Ranked(budget, rule, *added, one.error, one.computed) for rule, added, one in rows]
        ranking += sorted(ranked, key=lambda row: row.error)
    return Planning(tuple(plans), tuple(ranking))


def sourced(planning: Planning, source: str) -> Planning:
    """Returns the same plans with what was run.

    Args:
        planning: What was found.
        source: As a spec has it.
    """
    return replace(planning, plans=tuple(replace(plan, source=source) for plan in planning.plans))


def _others(trials: Trials, search: Search, budget: int, steps: int, added: Added) -> Iterable[tuple[str, Outcome]]:
    """The threshold and the tolerance that come nearest to as many computed steps."""
    beside = added.settings
    threshold = search.thresholds(1 - budget / steps)
    if threshold is not None:
        settings = {**threshold, **beside}
        yield f"threshold {threshold['rel_l1_thresh']:g}", trials.of(settings, search.held_out)
    tolerance = _tolerance(trials, search, budget, beside)
    yield f"tolerance {tolerance:.2g}", trials.of({"tolerance": tolerance, **beside}, search.held_out)


def _tolerance(trials: Trials, search: Search, budget: int, beside: Settings) -> float:
    # One generation each: which, matters little, and an average over all would cost as much as the search.
    turns = cycle(search.seen)

    def is_low(tolerance: float) -> bool:
        return trials.of({"tolerance": tolerance, **beside}, [next(turns)]).computed > budget

    low, high = halved(*_TOLERANCES, is_low, HALVINGS)
    return float(f"{(low * high) ** 0.5:.2g}")
