"""Which setting comes first, and which is recommended."""

from __future__ import annotations

import math
from typing import Any

import pytest

from teaspec.compare.chart import chart_of
from teaspec.compare.job import Motif
from teaspec.compare.ranking import advise, find_better, ranked
from teaspec.compare.result import Measured, Nearness, Outcome
from teaspec.compare.settings import Setting
from teaspec.compare.shot import Decided
from teaspec.runtime.rules.record import Decision


def measured(name: str, computed: int, *psnrs: float, ratio: float = 0.5, steps: int = 10) -> Measured:
    decisions = [Decision("cond", step, "compute" if step < computed else "reuse", "made up") for step in range(steps)]
    branches = {"cond": tuple(Decided("transformer", one) for one in decisions)}
    outcomes = [Outcome(Motif("owl", 0), 1.0, ratio, Nearness(psnr, 0.9, None), branches) for psnr in psnrs]
    return Measured(Setting(name, computed, {}), tuple(outcomes))


FEW, FEW_WORSE = measured("a", 3, 28.0, 24.0, 29.0), measured("b", 3, 26.0, 26.0, 40.0)
MANY, MANY_WORSE = measured("c", 6, 36.0, 33.0, 37.0), measured("d", 7, 35.0, 34.0, 35.5)
WHOLE = measured("e", 10, math.inf, math.inf, math.inf, ratio=1.0)
ALL = (MANY_WORSE, FEW_WORSE, MANY, FEW, WHOLE)


def names(found: Any) -> list[str]:
    return [one.setting.name for one in found]


def test_at_equal_steps_the_nearest_comes_first() -> None:
    """Mutations: ordered by the lowest PSNR instead of the median; the farthest first."""
    assert [(group.computed, names(group.best_first)) for group in ranked(ALL)] == [
        (3, ["a", "b"]),
        (6, ["c"]),
        (7, ["d"]),
        (10, ["e"]),
    ]


def test_what_costs_more_and_is_less_near_is_behind() -> None:
    """Mutations: only settings with as many steps compared."""
    found = {one.setting.name: find_better(one, ALL) for one in ALL}
    assert {name: better and better.setting.name for name, better in found.items()} == {
        **{"a": None, "b": "a"},
        **{"c": None, "d": "c"},
        "e": None,
    }


@pytest.mark.parametrize(
    ("among", "enough", "wanted", "why"),
    [
        (ALL, 30, "c", "the fewest computed steps at 30 dB or more"),
        (ALL, 27, "a", "the fewest computed steps at 27 dB or more"),
        (ALL, 50, "c", "the nearest; none reaches 50 dB"),
        ((FEW_WORSE, FEW), 30, "a", "the nearest; none reaches 30 dB"),
        ((WHOLE,), 30, "e", "no setting reuses a single step"),
    ],
)
def test_the_cheapest_that_is_near_enough_is_recommended(
    among: tuple[Measured, ...], enough: float, wanted: str, why: str
) -> None:
    """Mutations: one that computes all steps taken for the nearest; the nearest of all preferred to the cheapest."""
    advice = advise(among, enough)
    assert advice.measured.setting.name == wanted
    assert advice.why.startswith(why)


def test_the_drawing_has_cost_across_and_nearness_up() -> None:
    """Mutations: the vertical axis turned round."""
    chart = chart_of(ALL)
    by_label = {mark.label: mark for mark in chart.marks}
    d, b, c, a, e = (by_label[one.setting.label] for one in ALL)
    assert a.x == pytest.approx(30) or b.x == pytest.approx(30)
    assert a.x < c.x < d.x < e.x
    assert e.y == 0 < c.y < d.y < a.y < b.y <= 100
    assert [mark.is_best for mark in (a, b, c, d, e)] == [True, False, True, False, True]
    assert len(chart.line.split()) == 3
    values = [float(tick.text) for tick in chart.up]
    assert values == sorted(values)
    assert [tick.at for tick in chart.up] == sorted((tick.at for tick in chart.up), reverse=True)


def test_marks_do_not_lie_on_each_other() -> None:
    """Mutations: both left where they are."""
    one, two = chart_of((measured("a", 3, 28.0), measured("b", 3, 28.0))).marks
    assert abs(one.x - two.x) > 3
