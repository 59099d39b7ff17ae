"""Whole pipelines, cancelled and resumed in any order: no call ever shows the residual of somebody else."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.runtime.truth.draws import stories
from tests.runtime.truth.machine import Tally, play
from tests.runtime.truth.plans import Story

STORIES, MANY_STORIES = 300, 10_000
UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.mark.parametrize("number", [STORIES, pytest.param(MANY_STORIES, marks=pytest.mark.thorough)])
def test_no_residual_is_foreign(number: int) -> None:
    tally = Tally()

    @settings(
        max_examples=number,
        deadline=None,
        derandomize=number == STORIES,
        database=None,
        suppress_health_check=UNHURRIED,
    )
    @given(stories())
    def check(story: Story) -> None:
        play(story, tally)

    check()
    assert tally.share > 1 / 3, tally
