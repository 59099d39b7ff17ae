"""Published thresholds, and which of them a preset stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Preset = Literal["quality", "balanced", "fast"]

SPEEDUPS: Mapping[Preset, float] = {"quality": 1.3, "balanced": 1.6, "fast": 2.0}
"""The speed-up that each preset looks for."""


@dataclass(frozen=True)
class Threshold:
    """One published setting.

    Attributes:
        thresh: The threshold of the accumulated distance.
        speedup: How many times faster a generation was, as its source says; None where it says nothing.
        note: What the source adds.
        source: Where it was published.
    """

    thresh: float
    speedup: float | None = None
    note: str | None = None
    source: str | None = None


def pick(thresholds: Sequence[Threshold], preset: Preset) -> Threshold | None:
    """Returns the published threshold that a preset stands for, None where none is published.

    It is the one whose speed-up is nearest to the preset's; of several the lowest. One that is as fast as a lower one,
    as another source says, is left out. Where no source tells a speed-up, `quality` is the lowest, `fast` the highest,
    and `balanced` the one in the middle.

    Args:
        thresholds: What is published for a calibration.
        preset: `quality`, `balanced` or `fast`.
    """
    told = _rising(thresholds)
    if told:
        wanted = SPEEDUPS[preset]
        # Speed-ups are told to a digit or two: a difference in the last bit is none. Of two as near the lower is first.
        return min(told, key=lambda pair: round(abs(pair[0] - wanted), 6))[1]
    rising = sorted(thresholds, key=lambda one: one.thresh)
    if not rising:
        return None
    places = {"quality": 0, "balanced": (len(rising) - 1) // 2, "fast": len(rising) - 1}
    return rising[places[preset]]


def _rising(thresholds: Sequence[Threshold]) -> list[tuple[float, Threshold]]:
    """Those of which a speed-up is told, each faster than all that are lower."""
    told = [(one.speedup, one) for one in thresholds if one.speedup is not None]
    kept: list[tuple[float, Threshold]] = []
    for speedup, one in sorted(told, key=lambda pair: (pair[1].thresh, -pair[0])):
        if not kept or speedup > kept[-1][0]:
            kept.append((speedup, one))
    return kept
