"""Where the settings lie, cost across and nearness up, in percent of a drawing of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from teaspec.compare.ranking import find_better
from teaspec.compare.result import Measured

_TICKS = 5
_TOUCHING = (3.2, 8.0)
"""Two marks that are nearer than this, across and up, would lie on each other."""


@dataclass(frozen=True)
class Mark:
    """A setting in the drawing.

    Attributes:
        number: Its number, from 1.
        label: What it is called.
        x: From the left.
        y: From the top.
        is_best: Whether no other is nearer at the same cost or less.
    """

    number: int
    label: str
    x: float
    y: float
    is_best: bool


@dataclass(frozen=True)
class Tick:
    """A number at an axis.

    Attributes:
        at: From the left, or from the top.
        text: The number.
    """

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """The drawing.

    Attributes:
        marks: The settings.
        line: The points of a line through the best of them.
        across: Ticks of computed steps.
        up: Ticks of PSNR.
    """

    marks: tuple[Mark, ...]
    line: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def chart_of(measured: Sequence[Measured]) -> Chart:
    """Places the settings; those whose pictures are equal to the uncached ones lie at the top."""
    finite = [one.psnr.median for one in measured if math.isfinite(one.psnr.median)] or [40.0]
    rows = _round_numbers(min(finite) - 0.5, max(finite) + 0.5)
    columns = _round_numbers(0, max(one.steps for one in measured))

    def y(decibels: float) -> float:
        return 100 * (rows[-1] - min(decibels, rows[-1])) / (rows[-1] - rows[0])

    def x(computed: float) -> float:
        return 100 * computed / columns[-1]

    placed = [
        Mark(number, one.setting.label, x(one.computed), y(one.psnr.median), find_better(one, measured) is None)
        for number, one in enumerate(measured, 1)
    ]
    best = sorted((mark for mark in placed if mark.is_best), key=lambda mark: mark.x)
    return Chart(
        marks=_apart(placed),
        line=" ".join(f"{mark.x:.2f},{mark.y:.2f}" for mark in best),
        across=tuple(Tick(x(value), f"{value:g}") for value in columns),
        up=tuple(Tick(y(value), f"{value:g}") for value in rows),
    )


def _apart(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """Moves marks to the right until they lie on no other."""
    done: list[Mark] = []
    for mark in marks:
        x = mark.x
        while any(abs(x - one.x) < _TOUCHING[0] and abs(mark.y - one.y) < _TOUCHING[1] for one in done):
            x += _TOUCHING[0]
        done.append(Mark(mark.number, mark.label, x, mark.y, mark.is_best))
    return tuple(done)


def _round_numbers(low: float, high: float) -> list[float]:
    """A handful of round numbers, from at most `low` to at least `high`."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [number * step for number in range(math.floor(low / step), math.ceil(high / step) + 1)]
