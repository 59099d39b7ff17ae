"""A budget that is placed as a plan says, where one is known for that share of the steps; evenly elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from teaspec.runtime.calibrations.plans import Plan, find_plan, rounded
from teaspec.runtime.rules.forecast import Forecast, forecast_of
from teaspec.runtime.rules.schedule import BEYOND, Budget, Spent
from teaspec.runtime.rules.steps import Place, closing_steps
from teaspec.runtime.rules.verdict import Verdict

REASON = "plan"

INTERPOLATED = "interpolated plan"
"""The reason of a step where the plan is for another number of steps."""


@dataclass(frozen=True)
class Planned(Budget):
    """Computes so many steps of each branch in a generation, where a plan has them; the first one in any case.

    What is forced on the way is paid for out of the same budget, and what is left of the plan is thinned out.

    Attributes:
        plans: Those to choose from.
    """

    plans: tuple[Plan, ...] = ()

    def decide(self, numbers: Sequence[float], place: Place, memory: Spent) -> Verdict:
        """Computes the step that is next in the plan."""
        if place.total is None or place.index >= place.total:
            return Verdict("compute", BEYOND)
        count, plan = self.count(place.total), self._plan_for(place.total)
        if plan is None:
            return super().decide(numbers, place, memory)
        left = count - memory.steps
        closing = closing_steps(memory.guards, place.total, unsaid=0)
        due = next_in_plan(plan.placed(count, place.total), memory.last, left, place.total, closing)
        reason = REASON if plan.is_for(count, place.total) else INTERPOLATED
        return Verdict("compute" if place.index >= due else "reuse", reason, {"left": left}, yields=True)

    def forecast(self, place: Place) -> Forecast | None:
        """Returns what the plan was found with: its steps are placed for that."""
        plan = None if place.total is None else self._plan_for(place.total)
        return None if plan is None else forecast_of(plan.forecast, plan.limit)

    def planned_before(self, index: int, total: int) -> int:
        """Returns how many of the steps before one are in the plan.

        Args:
            index: The number of that step.
            total: Steps of the generation.
        """
        plan = self._plan_for(total)
        if plan is None:
            return super().planned_before(index, total)
        return sum(step < index for step in plan.placed(self.count(total), total))

    def _plan_for(self, total: int) -> Plan | None:
        return find_plan(self.plans, self.count(total), total)

    def __str__(self) -> str:
        added = dict.fromkeys(str(forecast_of(plan.forecast, plan.limit)) for plan in self.plans)
        return f"{super().__str__()}, planned{' with ' if added else ''}{' or '.join(added)}"


def next_in_plan(planned: Sequence[int], last: int, left: int, total: int, closing: int) -> float:
    """Returns which step is computed next; infinity where none is, but those that are set.

    Where as many are left as the plan has ahead, it is the next of the plan. Where others were computed in between, the
    plan ahead has more: of so many, the line through them has as many as are left. Where it has fewer, they are filled
    up in the same way.

    Args:
        planned: Numbers of the steps in the plan, rising.
        last: The number of the last computed step.
        left: So many are to be computed, those at the end among them.
        total: Steps of the generation.
        closing: So many at the end are set.
    """
    wanted, end = left - closing, total - closing
    if wanted <= 0:
        return math.inf
    points = [last, *(step for step in planned if last < step < end)]
    if len(points) == 1:
        points.append(end)
    whole, part = divmod(Fraction(len(points) - 1, wanted), 1)
    after = points[min(whole + 1, len(points) - 1)]
    place = rounded(points[whole] + part * (after - points[whole]))
    return max(min(place, end - wanted), last + 1)
