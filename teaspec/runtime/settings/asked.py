"""What decides: one of several settings, and no two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from teaspec.runtime.rules.rule import Rule
from teaspec.runtime.rules.schedule import check_budget
from teaspec.runtime.rules.tolerance import Tolerance
from teaspec.runtime.settings.values import check, is_finite_number

WAYS = ("rule", "budget", "tolerance", "rel_l1_thresh", "preset")
"""Settings that each choose what decides."""

PUBLISHED_ALONE = ("coefficients", "accumulate")
"""Settings of TeaCache's rule as it was published."""


def refuse_several(given: dict[str, Any]) -> None:
    """Refuses settings of which each would decide.

    Args:
        given: Those that the user has given, by name.

    Raises:
        ValueError: If two contradict each other.
    """
    ways = [name for name in WAYS if name in given]
    if len(ways) > 1:
        raise ValueError(f"{_listed(given, ways)} each say what decides; give one of them")
    if ways and ways[0] in ("rule", "budget", "tolerance"):
        idle = [name for name in PUBLISHED_ALONE if name in given]
        if idle:
            raise ValueError(
                f"{_listed(given, idle)} {'say' if len(idle) > 1 else 'says'} how rel_l1_thresh is reached, which does "
                f"not decide beside {ways[0]}={_short(given[ways[0]])}; leave {'them' if len(idle) > 1 else 'it'} out"
            )


def given_of(config: Any) -> dict[str, Any]:
    """Returns those of these settings that the user has given, by name."""
    found = {name: getattr(config, name) for name in (*WAYS, *PUBLISHED_ALONE)}
    if not config.is_threshold_given:
        del found["rel_l1_thresh"]
    return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Wish:
    """What one session asks for, in place of what the settings of the transformer say.

    Attributes:
        rule: Decides as it stands, whatever else is asked.
        budget: As in the settings.
        tolerance: Likewise.
        rel_l1_thresh: Likewise, on the scale of the transformer's coefficients.

    Raises:
        ValueError: If it is nothing, or of no use, or more than one.
    """

    rule: Rule | None = None
    budget: int | float | None = None
    tolerance: float | None = None
    rel_l1_thresh: float | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        check_asked(self.rule, self.budget, self.tolerance)
        if self.rel_l1_thresh is not None:
            check_threshold(self.rel_l1_thresh)
        refuse_several({name: value for name, value in vars(self).items() if value is not None})


def check_threshold(value: Any) -> None:
    """Checks a threshold.

    Raises:
        ValueError: If it is of no use.
    """
    check("rel_l1_thresh", value, is_finite_number(value) and value > 0, "a finite number above 0")


def check_asked(rule: Any, budget: Any, tolerance: Any) -> None:
    """Checks the values of settings that stand in place of a threshold.

    Raises:
        ValueError: If one is of no use.
    """
    check("rule", rule, rule is None or isinstance(rule, Rule), "a teaspec.Rule, or None")
    if budget is not None:
        check_budget(budget)
    if tolerance is not None:
        Tolerance(tolerance)


def _listed(given: dict[str, Any], names: list[str]) -> str:
    return " and ".join(f"{name}={_short(given[name])}" for name in names)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)
