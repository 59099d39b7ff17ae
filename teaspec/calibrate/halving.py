"""Looks for a value by halving the interval it lies in, of the logarithms."""

from __future__ import annotations

from collections.abc import Callable


def halved(low: float, high: float, is_low: Callable[[float], bool], times: int) -> tuple[float, float]:
    """Returns a narrower interval.

    Args:
        low: Its lower end, above 0.
        high: Its upper end.
        is_low: Whether a value is below what is looked for; asked once each time.
        times: How often it is halved.
    """
    for _ in range(times):
        middle = (low * high) ** 0.5
        if is_low(middle):
            low = middle
        else:
            high = middle
    return low, high
