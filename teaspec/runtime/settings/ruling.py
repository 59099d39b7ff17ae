"""Which rule the settings stand for. They may be changed between calls, so they are looked at in each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from teaspec.runtime.rules.forecast import forecast_of
from teaspec.runtime.rules.plan import Planned
from teaspec.runtime.rules.schedule import Budget
from teaspec.runtime.rules.threshold import Polynomial, Threshold
from teaspec.runtime.rules.tolerance import Tolerance

if TYPE_CHECKING:
    from teaspec.runtime.calibrations.calibration import Calibration
    from teaspec.runtime.calibrations.gains import Gain
    from teaspec.runtime.calibrations.plans import Plan
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
        asked = (
            wish,
            config.rule,
            config.budget,
            config.tolerance,
            threshold,
            config.forecaster,
            config.is_forecast_given,
        )
        made = self._made
        if made is None or made[0] != asked:
            made = self._made = asked, self._rule_of(config, config if wish is None else wish)
        return made[1]

    def _rule_of(self, config: DiffusionCacheConfig, asked: DiffusionCacheConfig | Wish) -> Rule:
        if asked.rule is not None:
            return asked.rule
        if asked.budget is not None:
            plans = plans_for(config, self._published.plans)
            return Planned(asked.budget, plans) if plans else Budget(asked.budget)
        if asked.tolerance is not None:
            return _tolerance_for(asked.tolerance, config, self._published.tolerance)
        assert asked.rel_l1_thresh is not None
        coefficients = tuple(config.coefficients or self._published.coefficients)
        return Threshold(asked.rel_l1_thresh, Polynomial(coefficients), config.accumulate or self._published.accumulate)


def plans_for(config: DiffusionCacheConfig, plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """Returns the plans that a budget may take: all, or those that were found with the forecast that the user has set.

    Nothing is known of the others beside it.

    Args:
        config: The settings.
        plans: Those there are.
    """
    return tuple(one for one in plans if _goes_with(config, one))


def _tolerance_for(tolerance: float, config: DiffusionCacheConfig, measured: Gain | None) -> Tolerance:
    """The rule with what was measured, where that is about the forecast that the user has set, or none is set."""
    if measured is None or not _goes_with(config, measured):
        return Tolerance(tolerance, config.forecaster.power)
    added = forecast_of(measured.forecast, measured.limit)
    return Tolerance(tolerance, added.power, measured.gain, added)


def _goes_with(config: DiffusionCacheConfig, found: Plan | Gain) -> bool:
    """Whether the user has set no forecast, or the one that it was found with."""
    return not config.is_forecast_given or config.forecaster.is_same(forecast_of(found.forecast, found.limit))
