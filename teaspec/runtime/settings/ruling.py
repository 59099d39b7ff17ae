"""Which rule the settings stand for. They may be changed between calls, so they are looked at in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teaspec.runtime.calibrations.calibration import IDENTITY_COEFFICIENTS
from teaspec.runtime.rules.threshold import Polynomial, Threshold

if TYPE_CHECKING:
    from teaspec.runtime.rules.rule import Rule
    from teaspec.runtime.settings.config import DiffusionCacheConfig


class Ruling:
    """The rule of a config, made anew where that has changed."""

    def __init__(self) -> None:
        self._made: tuple[Any, Rule] | None = None  # one value, for threads do not take turns here

    def of(self, config: DiffusionCacheConfig) -> Rule:
        """Returns the rule.

        Args:
            config: The settings; coefficients and signs that are left open are those of no model.
        """
        asked = (config.rule, config.rel_l1_thresh, config.coefficients, config.accumulate)
        made = self._made
        if made is None or made[0] != asked:
            made = self._made = asked, _rule_of(config)
        return made[1]


def _rule_of(config: DiffusionCacheConfig) -> Rule:
    if config.rule is not None:
        return config.rule
    coefficients = IDENTITY_COEFFICIENTS if config.coefficients is None else tuple(config.coefficients)
    return Threshold(config.rel_l1_thresh, Polynomial(coefficients), config.accumulate or "signed")
