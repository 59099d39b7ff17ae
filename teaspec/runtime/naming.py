"""Wording shared by the runtime's messages: lists of names, and the nearest one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def listed(names: Iterable[str]) -> str:
    """Returns the names, sorted and comma-separated, or `none`."""
    return ", ".join(sorted(names)) or "none"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns how to end a sentence about an unknown name: `; did you mean 'X'?`, or `.` when none is near."""
    matches = get_close_matches(name, list(names), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else "."
