"""Wording shared by the runtime's messages: lists of names, and the nearest ones."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_FEW = 3
_LEAST_RATIO = 0.4


def listed(names: Iterable[str]) -> str:
    """Returns the names, sorted and comma-separated, or `none`."""
    return ", ".join(sorted(names)) or "none"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns how to end a sentence about an unknown name: `; did you mean 'X'?`, or `.` when none is near."""
    matches = get_close_matches(name, [one for one in names if one != name], n=1)
    return f"; did you mean {matches[0]!r}?" if matches else "."


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns a sentence about the known names that look most like a name: all of a few, three of many.

    Args:
        name: What was asked for.
        names: What is known.
    """
    known = sorted(names)
    if len(known) <= _FEW:
        return f"Known: {listed(known)}."
    near = get_close_matches(name, known, n=_FEW, cutoff=_LEAST_RATIO)
    return (
        f"Nearest of the {len(known)} known: {', '.join(near)}." if near else f"None of the {len(known)} known is near."
    )
