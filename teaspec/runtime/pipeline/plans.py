"""What is said of the plans of a spec, where a budget decides."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from teaspec.runtime.calibrations.calibration import Calibration
from teaspec.runtime.calibrations.plans import Plan, find_plan
from teaspec.runtime.rules.schedule import Budget
from teaspec.runtime.settings.config import TeaCacheConfig
from teaspec.runtime.settings.ruling import plans_for

logger = logging.getLogger(__name__)


def tell_plan(config: TeaCacheConfig, calibration: Calibration) -> None:
    """Says in one line which plan a budget takes, and at which numbers of steps it is interpolated.

    Args:
        config: What became of the user's config on the transformer.
        calibration: What is published about its variant.
    """
    if config.budget is None or not calibration.plans:
        return
    title = f"{config.transformer_type}, variant {config.variant}"
    usable = plans_for(config, calibration.plans)
    told = "; ".join(_told(Budget(config.budget), usable, config.num_inference_steps))
    if told:
        logger.info("TeaCache on %s: budget %g is placed by plan: %s", title, config.budget, told)
        return
    known = ", ".join(f"{one}{_beside(one) or ' with forecast=' + repr(one.forecast)}" for one in calibration.plans)
    logger.info("TeaCache on %s: budget %g is placed evenly, for its plans are others: %s", title, config.budget, known)


def _told(budget: Budget, plans: Sequence[Plan], total: int | None) -> Iterator[str]:
    """Each plan that may be taken, and where."""
    if total is not None:
        count = budget.count(total)
        plan = find_plan(plans, count, total)
        if plan is not None:
            fitted = "" if plan.is_for(count, total) else f", interpolated to {count} of {total}"
            yield f"{plan}{fitted}{_beside(plan)}{_worth(plan)}"
        return
    for plan in plans:
        count = budget.count(plan.steps)
        if find_plan(plans, count, plan.steps) is plan:
            yield f"{plan}, interpolated {_elsewhere(budget, plans, plan)}{_beside(plan)}{_worth(plan)}"


def _elsewhere(budget: Budget, plans: Sequence[Plan], plan: Plan) -> str:
    """At which other numbers of steps a plan is taken: a count is another share of each, a fraction is not."""
    if isinstance(budget.budget, float):
        return "where a generation has another number of them"
    taken = [total for total in range(2, 2 * plan.steps) if find_plan(plans, budget.count(total), total) is plan]
    return f"from {taken[0]} to {taken[-1]} and evenly placed beyond"


def _worth(plan: Plan) -> str:
    if plan.error is None:
        return f" ({plan.source})" if plan.source else ""
    even = "" if plan.even is None else f", evenly {plan.even:.3g}"
    return f" (relative error {plan.error:.3g}{even}{f'; {plan.source}' if plan.source else ''})"


def _beside(plan: Plan) -> str:
    return "" if plan.forecast == "last" else f" with forecast={plan.forecast!r}, residual_limit={plan.limit:g}"
