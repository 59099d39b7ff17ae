"""Which setting is better: nearer pictures at equal cost, and which is worth copying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teaspec.compare.result import Measured

ENOUGH = 30.0
"""PSNR in dB at which most people no longer tell images apart at a glance."""


@dataclass(frozen=True, eq=False)
class Group:
    """Settings that compute equally many steps.

    Attributes:
        computed: How many, to the nearest whole step.
        best_first: The nearest to the uncached pictures first.
    """

    computed: int
    best_first: tuple[Measured, ...]


@dataclass(frozen=True, eq=False)
class Advice:
    """The setting to copy.

    Attributes:
        measured: The setting.
        why: Why, in words that go on behind it.
    """

    measured: Measured
    why: str


def ranked(measured: Sequence[Measured]) -> tuple[Group, ...]:
    """Groups settings by computed steps, fewest first; in a group the highest PSNR comes first."""
    counts = sorted({round(one.computed) for one in measured})
    return tuple(
        Group(count, tuple(sorted((one for one in measured if round(one.computed) == count), key=_near)))
        for count in counts
    )


def find_better(one: Measured, measured: Sequence[Measured]) -> Measured | None:
    """Returns the nearest setting that computes no more steps than this one, and is nearer; None where none is."""
    affordable = [two for two in measured if round(two.computed) <= round(one.computed)]
    better = [two for two in affordable if two.psnr.median > one.psnr.median]
    return min(better, key=_near, default=None)


def advise(measured: Sequence[Measured], enough: float = ENOUGH) -> Advice:
    """Chooses the setting to copy: the fewest computed steps whose pictures are near enough; else the nearest ones.

    One that reuses nothing is equal and of no use.

    Args:
        measured: At least one setting.
        enough: Least median PSNR in dB.
    """
    reusing = [one for one in measured if one.computed < one.steps]
    if not reusing:
        chosen = min(measured, key=lambda one: one.time_ratio.median)
        return Advice(chosen, "no setting reuses a single step; try a smaller budget, or a higher threshold")
    near = [one for one in reusing if one.psnr.median >= enough]
    if near:
        chosen = min(near, key=lambda one: (round(one.computed), *_near(one)))
        return Advice(chosen, f"the fewest computed steps at {enough:g} dB or more")
    return Advice(min(reusing, key=_near), f"the nearest; none reaches {enough:g} dB, so try more computed steps, too")


def _near(one: Measured) -> tuple[float, float]:
    return -one.psnr.median, one.time_ratio.median
