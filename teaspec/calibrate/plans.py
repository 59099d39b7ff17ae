"""Finds plans: by recorded residuals first, then by a few generations; and ranks rules and forecasts at equal cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from teaspec.calibrate.placing import Expected, Placing, Steps, moved_by_one
from teaspec.calibrate.residuals import Residuals
from teaspec.calibrate.trials import Outcome, Settings, Trials
from teaspec.runtime.calibrations.plans import Plan
from teaspec.runtime.rules.forecast import Kind, forecast_for
from teaspec.runtime.rules.schedule import Mask, next_in_turn

JUDGES: tuple[Callable[[Expected], float], ...] = (
    lambda one: one.joint,
    lambda one: one.summed,
    lambda one: (one.joint * one.summed) ** 0.5,
)
"""What generations choose between: whether errors take each other back in the result, residuals cannot tell."""

HALVINGS = 6
"""So often the interval is halved in which the tolerance of a cost lies."""

_TOLERANCES = (1e-4, 1.0)


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        budgets: Numbers of computed steps.
        forecasts: What reused steps may add, and the `residual_limit` of that.
        seen: The generations that plans are chosen by.
        held_out: Those that they are judged by.
        moves: So many neighbours of the best steps are generated at most.
        ranks_others: Whether thresholds and tolerances are generated, too, for the ranking.
        thresholds: The threshold for a share of reused steps, None where none is known for it.
    """

    budgets: Sequence[int]
    forecasts: Sequence[tuple[Kind, float]]
    seen: Sequence[int]
    held_out: Sequence[int]
    moves: int = 24
    ranks_others: bool = True
    thresholds: Callable[[float], Settings | None] = lambda _: None

    @property
    def generations(self) -> int:
        """How many generations the search makes at most."""
        pairs = len(self.budgets) * len(self.forecasts)
        seen = pairs * (1 + len(JUDGES) + self.moves) * len(self.seen) + pairs * HALVINGS
        return len(self.seen) + seen + (1 + 4 * pairs) * len(self.held_out)


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
        plans: The plans, by budget and forecast.
        ranking: Rules and forecasts, for each budget the best first.
    """

    plans: tuple[Plan, ...]
    ranking: tuple[Ranked, ...]

    @property
    def worth_writing(self) -> tuple[Plan, ...]:
        """The plans that are better than evenly placed steps on the prompts that were held out."""
        return tuple(one for one in self.plans if one.is_better_than_even)


def find_plans(trials: Trials, search: Search) -> Planning:
    """Searches, and judges what was found by generations that took no part in it.

    Args:
        trials: Runs generations.
        search: What is looked for.

    Returns:
        A plan for each budget and forecast, and the ranking.

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
    plans: list[Plan] = []
    ranking: list[Ranked] = []
    for budget in search.budgets:
        rows: list[Ranked] = []
        for kind, limit in search.forecasts:
            beside: Settings = {"forecast": kind, "residual_limit": limit}
            chosen = _chosen(trials, search, recorded, budget, kind, limit)
            even = trials.of({"rule": Mask(mask_of(evenly(budget, steps), steps)), **beside}, search.held_out)
            found = trials.of({"rule": Mask(mask_of(chosen, steps)), **beside}, search.held_out)
            plans.append(Plan(steps, chosen, kind, limit, found.error, even.error))
            others = _others(trials, search, budget, steps, beside) if search.ranks_others else ()
            told = [("plan", found), ("even", even), *others]
            rows += [Ranked(budget, rule, kind, limit, one.error, one.computed) for rule, one in told]
        ranking += sorted(rows, key=lambda row: row.error)
    return Planning(tuple(plans), tuple(ranking))


def sourced(planning: Planning, source: str) -> Planning:
    """Returns the same plans with what was run.

    Args:
        planning: What was found.
        source: As a spec has it.
    """
    return replace(planning, plans=tuple(replace(plan, source=source) for plan in planning.plans))


def mask_of(computed: Iterable[int], steps: int) -> tuple[bool, ...]:
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


def _chosen(trials: Trials, search: Search, recorded: Residuals, budget: int, kind: Kind, limit: float) -> Steps:
    """The best on the generations that are seen: of the even steps, those that residuals tell, and their neighbours."""
    steps = len(recorded)
    placing = Placing(recorded, forecast_for(kind, 0, limit))
    tried: dict[Steps, float] = {}

    def error(computed: Steps) -> float:
        if computed not in tried:
            settings: Settings = {"rule": Mask(mask_of(computed, steps)), "forecast": kind, "residual_limit": limit}
            tried[computed] = trials.of(settings, search.seen).error
        return tried[computed]

    best = min({evenly(budget, steps), *(placing.best(budget, judge) for judge in JUDGES)}, key=error)
    left = search.moves
    while left > 0:
        near = sorted(
            (one for one in moved_by_one(best, steps) if one not in tried),
            key=lambda one: JUDGES[-1](placing.expected(one)),
        )
        better = None
        for one in near[:left]:
            left -= 1
            if error(one) < error(best):
                better = one
                break
        if better is None:
            break
        best = better
    return best


def _others(trials: Trials, search: Search, budget: int, steps: int, beside: Settings) -> Iterable[tuple[str, Outcome]]:
    """The threshold and the tolerance that come nearest to as many computed steps."""
    threshold = search.thresholds(1 - budget / steps)
    if threshold is not None:
        settings = {**threshold, **beside}
        yield f"threshold {threshold['rel_l1_thresh']:g}", trials.of(settings, search.held_out)
    tolerance = _tolerance(trials, search, budget, beside)
    yield f"tolerance {tolerance:.2g}", trials.of({"tolerance": tolerance, **beside}, search.held_out)


def _tolerance(trials: Trials, search: Search, budget: int, beside: Settings) -> float:
    low, high = _TOLERANCES
    for number in range(HALVINGS):
        middle = (low * high) ** 0.5
        # One generation each: which, matters little, and an average over all would cost as much as the search.
        one = search.seen[number % len(search.seen)]
        if trials.of({"tolerance": middle, **beside}, [one]).computed > budget:
            low = middle
        else:
            high = middle
    return float(f"{(low * high) ** 0.5:.2g}")
