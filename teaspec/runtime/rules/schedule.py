"""Which steps are computed is known beforehand: so many, evenly placed, or those of a mask. Nothing is measured.

A budget is that of a whole generation. What is forced on the way (a first call in mid-generation, another prompt, the
guards of the settings) is paid for out of it, and what is left is placed evenly over what is left of the steps. So a
branch that lasts to the end of its generation has computed as many steps as the budget says, whatever happened.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from teaspec.runtime.rules.rule import Memory, Rule, Seen, Start
from teaspec.runtime.rules.steps import ROUNDING, Guards, Place, closing_steps, known_total, opening_steps
from teaspec.runtime.rules.verdict import Verdict

REASON = "schedule"

BEYOND = "beyond the schedule"
"""The reason of a step that nobody has planned for."""


class Spent(NamedTuple):
    """What is known of a branch.

    Attributes:
        steps: So many of its steps were computed in this generation.
        last: The number of the last of them.
        guards: What the user wants to be computed in any case; that is paid for, too.
    """

    steps: int
    last: int
    guards: Guards


@dataclass(frozen=True)
class Budget(Rule):
    """Computes so many steps of each branch in a generation, evenly placed, the first and the last among them.

    Attributes:
        budget: A count, or a fraction of the steps that really run, rounded up.

    Raises:
        ValueError: If it is neither.
    """

    budget: int | float

    places_the_end = True
    columns = ("left",)

    def __post_init__(self) -> None:
        """Checks the budget."""
        check_budget(self.budget)

    def init(self, start: Start) -> Spent:
        """Begins with what the branch has computed of the generation so far; where nobody knows, with its share.

        Raises:
            ValueError: If nobody knows the number of steps, or more of them are forced than the budget has.
        """
        index, total = start.place.index, known_total("budget", self.budget, start.place.total)
        count = self.count(total)
        forced = min(total, opening_steps(start.guards, total) + closing_steps(start.guards, total, unsaid=0))
        if forced > count:
            raise ValueError(
                f"budget={self.budget!r} is {count} of {total} steps, and the settings for both ends of a generation "
                f"have {forced} computed: raise the budget, or lower warmup_steps, cooldown_steps, start, or raise end"
            )
        return Spent(start.computed or self.planned_before(index, total), -1, start.guards)

    def decide(self, numbers: Sequence[float], place: Place, memory: Spent) -> Verdict:
        """Computes the step that is next in turn."""
        if place.total is None or place.index >= place.total:
            return Verdict("compute", BEYOND)
        left = self.count(place.total) - memory.steps
        closing = closing_steps(memory.guards, place.total, unsaid=1)
        computes = place.index >= next_in_turn(memory.last, left, place.total, closing)
        return Verdict("compute" if computes else "reuse", REASON, {"left": left}, yields=True)

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Spent) -> Spent:
        """Counts what is computed."""
        return memory if verdict.choice == "reuse" else Spent(memory.steps + 1, place.index, memory.guards)

    def planned_before(self, index: int, total: int) -> int:
        """Returns how many of the steps before one are computed where nothing is forced.

        Args:
            index: The number of that step.
            total: Steps of the generation.
        """
        return planned_before(index, self.count(total), total)

    def count(self, total: int) -> int:
        """Returns how many steps of a generation are computed.

        Args:
            total: How many it has.
        """
        wanted = math.ceil(self.budget * total - ROUNDING) if isinstance(self.budget, float) else self.budget
        return max(1, min(wanted, total))

    def __str__(self) -> str:
        return f"budget {self.budget:g}"


@dataclass(frozen=True)
class Mask(Rule):
    """Computes the steps of a mask; the first one in any case.

    Attributes:
        mask: For each step of a generation, whether it is computed.

    Raises:
        ValueError: If there is nothing in it.
    """

    mask: tuple[bool, ...]

    places_the_end = True

    def __post_init__(self) -> None:
        """A mask of any kind becomes a tuple."""
        found = tuple(map(bool, self.mask)) if isinstance(self.mask, Iterable) else ()
        if not found:
            raise ValueError(f"a mask says for each step of a generation whether it is computed, found {self.mask!r}")
        object.__setattr__(self, "mask", found)

    def init(self, start: Start) -> Memory:
        """Begins with nothing, once the mask is known to be long enough.

        Raises:
            ValueError: If a generation has fewer steps than the mask.
        """
        # At a strength below 1 the number is known to be smaller only behind the first step.
        if start.place.total is not None and start.place.total < len(self.mask):
            raise self._misfit(start.place.total)
        return None

    def decide(self, numbers: Sequence[float], place: Place, memory: Memory) -> Verdict:
        """Looks the step up.

        Raises:
            ValueError: If the generation has another number of steps than the mask.
        """
        if place.total is not None and place.total != len(self.mask):
            raise self._misfit(place.total)
        if place.index >= len(self.mask):
            return Verdict("compute", BEYOND)
        return Verdict("compute" if self.mask[place.index] else "reuse", REASON, yields=True)

    def _misfit(self, total: int) -> ValueError:
        return ValueError(
            f"the mask is for {len(self.mask)} steps, and this generation has {total}: give a mask for {total} steps, "
            f"or a budget, which serves any number (budget={sum(self.mask) / len(self.mask):.2g})"
        )

    def __str__(self) -> str:
        return f"mask, {sum(self.mask)} of {len(self.mask)} steps"


def next_in_turn(last: int, left: int, total: int, closing: int) -> float:
    """Returns which step is computed next, so that what is left is evenly spread; infinity where nothing is.

    Args:
        last: The number of the last computed step.
        left: So many are to be computed, those at the end among them.
        total: Steps of the generation.
        closing: So many at the end are set.
    """
    if left <= 0 or left < closing:
        return math.inf
    parts = left - closing + 1
    return last + max(1, _rounded(total - closing - last, parts))


def _rounded(dividend: int, divisor: int) -> int:
    """Divides whole numbers and rounds, halves up: the same on every machine."""
    return (2 * dividend + divisor) // (2 * divisor)


def planned_before(index: int, count: int, total: int) -> int:
    """Returns how many of the steps before one an even schedule computes.

    Args:
        index: The number of that step.
        count: How many steps are computed in all.
        total: Steps of the generation.
    """
    planned, last = 0, -1
    while planned < count:
        last = 0 if planned == 0 else int(next_in_turn(last, count - planned, total, 1))
        if last >= index:
            break
        planned += 1
    return planned


def check_budget(budget: Any) -> None:
    """Checks a budget.

    Raises:
        ValueError: If it is neither a count nor a fraction.
    """
    is_number = isinstance(budget, (int, float)) and not isinstance(budget, bool)
    if not is_number or not (budget >= 1 if isinstance(budget, int) else 0 < budget <= 1):
        hint = f"; {int(budget)} steps are budget={int(budget)}" if isinstance(budget, float) and budget > 1 else ""
        raise ValueError(
            f"budget must be a number of steps (an integer of at least 1) or a fraction of them (a float above 0, at "
            f"most 1), found {budget!r}{hint}"
        )
