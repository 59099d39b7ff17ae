"""The name that was probably meant."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable

_LEAST_RATIO = 0.6


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Finds the candidate that looks most like `name`.

    Args:
        name: What was written.
        candidates: What could have been written, in any order; what was written is none of it.

    Returns:
        The nearest candidate, or None where none is near. Ties go to the alphabetically first.
    """
    return _nearest(name, tuple(sorted({*candidates} - {name})))


@functools.lru_cache(maxsize=1024)  # one mistake is often made in many places
def _nearest(name: str, candidates: tuple[str, ...]) -> str | None:
    matcher = difflib.SequenceMatcher(b=name.lower(), autojunk=False)
    best, best_ratio = None, _LEAST_RATIO
    for candidate in candidates:
        matcher.set_seq1(candidate.lower())
        if matcher.real_quick_ratio() > best_ratio and matcher.quick_ratio() > best_ratio:
            ratio = matcher.ratio()
            if ratio > best_ratio:
                best, best_ratio = candidate, ratio
    return best


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


def what_there_is(names: Iterable[str], kind: str) -> tuple[str, ...]:
    """Gives the help line that lists what could have been written, where there is no nearest name.

    Args:
        names: The names; the first twelve are listed.
        kind: What they are names of, in the plural.

    Returns:
        One help line.
    """
    shown = ", ".join(f"`{name}`" for name in [*names][:12])
    return (f"it has {shown}" if shown else f"it has no {kind}",)
