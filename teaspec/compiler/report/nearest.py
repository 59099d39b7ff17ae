"""The name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Finds the candidate that looks most like `name`.

    Args:
        name: What was written.
        candidates: What could have been written, in any order.

    Returns:
        The nearest candidate, or None where none is near. Ties go to the alphabetically first.
    """
    by_folded: dict[str, str] = {}
    for candidate in sorted(candidates, reverse=True):
        by_folded[candidate.lower()] = candidate
    matches = difflib.get_close_matches(name.lower(), sorted(by_folded), n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None


def did_you_mean(name: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """Gives the help line that offers the nearest candidate.

    Args:
        name: What was written.
        candidates: What could have been written.

    Returns:
        One help line, or none where no candidate is near.
    """
    match = nearest(name, candidates)
    return (f"did you mean `{match}`?",) if match is not None else ()
