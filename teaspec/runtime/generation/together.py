"""Branches that decide together: all of them compute when one does, and no step is half computed and half reused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from teaspec.runtime.generation.calls import Position
from teaspec.runtime.generation.state import TeaCacheState
from teaspec.runtime.rules.rule import Rule
from teaspec.runtime.rules.verdict import Choice, Verdict


@dataclass(frozen=True)
class Together:
    """What the calls of one step do.

    Attributes:
        branches: Those that have been called.
        choice: What the first of them did.
    """

    branches: tuple[str, ...]
    choice: Choice


def agree(
    own: Verdict, position: Position, before: Together | None, states: Mapping[str, TeaCacheState], rule: Rule
) -> tuple[Verdict, Together]:
    """Makes a branch's verdict one that all branches of the step share.

    The first call of a step decides for the others, which have not been measured by then. A branch that would have
    computed and could not is overdue, and the next step is computed by all.

    Args:
        own: What the branch would do alone.
        position: The call's place.
        before: What the calls so far did, None at the beginning of a generation.
        states: Those of the generation so far.
        rule: Decided, and remembers what it would have done.
    """
    branch = position.branch
    first = before is None or branch in before.branches or position.order == 1
    if before is None or first:
        others = () if before is None else (name for name in before.branches if name != branch)
        memories = [states[name].memory for name in others if name in states]
        if own.choice == "reuse" and any(map(rule.is_overdue, memories)):
            own = replace(own, choice="compute", reason="another branch")
        return own, Together((branch,), own.choice)
    if before.choice == "compute" and own.choice == "reuse":
        own = replace(own, choice="compute", reason="another branch")
    elif before.choice == "reuse" and own.choice == "compute" and own.yields:
        own = replace(own, choice="reuse", reason="another branch")
    return own, replace(before, branches=(*before.branches, branch))
