"""Which rule the settings stand for. They may be changed between calls, so they are looked at in each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from teaspec.runtime.rules.forecast import Kind, forecast_for
from teaspec.runtime.rules.plan import Planned
from teaspec.runtime.rules.schedule import Budget
from teaspec.runtime.rules.threshold import Polynomial, Threshold
from teaspec.runtime.rules.tolerance import Tolerance

if TYPE_CHECKING:
    from teaspec.runtime.calibrations.calibration import Calibration
    from teaspec.runtime.calibrations.plans import Plan
    from teaspec.runtime.rules.forecast import Forecast
    from teaspec.runtime.rules.rule import Rule
    from teaspec.runtime.settings.asked import Wish
    from teaspec.runtime.settings.config import DiffusionCacheConfig


class Ruling:
    """The rule of a config, made anew where that has changed."""

    def __init__(self, published: Calibration) -> None:
        """Takes what is published about the transformer, for what the settings leave open."""
        self._published = published
        self._made: tuple[Any, Rule] | None = None  # one value, for threads do not take turns here

    def of(self, config: DiffusionCacheConfig, wish: Wish | None = None) -> Rule:
        """Returns the rule.

        Args:
            config: The settings.
            wish: What the session asks for instead.
        """
        threshold = (config.rel_l1_thresh, config.coefficients, config.accumulate)
        asked = (wish, config.rule, config.budget, config.tolerance, threshold, config.forecaster)
        made = self._made
        if made is None or made[0] != asked:
            made = self._made = asked, self._rule_of(config, config if wish is None else wish)
        return made[1]

    def _rule_of(self, config: DiffusionCacheConfig, asked: DiffusionCacheConfig | Wish) -> Rule:
        if asked.rule is not None:
            return asked.rule
        if asked.budget is not None:
            plans = plans_for(config.forecaster, self._published.plans)
            return Planned(asked.budget, plans) if plans else Budget(asked.budget)
        if asked.tolerance is not None:
            return Tolerance(asked.tolerance, config.forecaster.power)
        assert asked.rel_l1_thresh is not None
        coefficients = tuple(config.coefficients or self._published.coefficients)
        return Threshold(asked.rel_l1_thresh, Polynomial(coefficients), config.accumulate or self._published.accumulate)


def plans_for(forecast: Forecast, plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """Returns the plans that were found with a forecast; nothing is known of the others beside it.

    Args:
        forecast: What a reused step adds.
        plans: Those there are.
    """
    return tuple(one for one in plans if forecast.is_same(forecast_for(cast(Kind, one.forecast), 0, one.limit)))
