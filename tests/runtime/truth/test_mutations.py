"""Each rule of identity is needed: without it, the stories show a foreign residual."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings

from tests.runtime.truth.calls import ForeignError
from tests.runtime.truth.draws import stories
from tests.runtime.truth.machine import play
from tests.runtime.truth.mutations import MUTATIONS
from tests.runtime.truth.once import STORIES
from tests.runtime.truth.plans import Story
from tests.runtime.truth.test_truth import UNHURRIED

MOST_STORIES = 6000
USUAL = ("set_timesteps_begins_nothing", "conditioning_is_never_compared")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in USUAL else pytest.mark.thorough) for name in MUTATIONS]
)
def test_without_it_a_residual_is_foreign(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @settings(
        max_examples=MOST_STORIES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=UNHURRIED,
    )
    @given(stories())
    def check(story: Story) -> None:
        play(story)

    MUTATIONS[name](monkeypatch)
    # Where residuals of another layout are added, they may not even fit.
    with pytest.raises((ForeignError, RuntimeError)):
        for story in STORIES.values():  # what was found once need not be found again
            play(story)
        check()
