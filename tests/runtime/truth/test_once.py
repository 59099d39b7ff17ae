"""What was wrong once stays mended."""

from __future__ import annotations

import pytest

from tests.runtime.truth.machine import play
from tests.runtime.truth.once import STORIES


@pytest.mark.parametrize("name", STORIES)
def test_a_story_that_was_wrong_once(name: str) -> None:
    """Mutation: objects are known as long as their states."""
    play(STORIES[name])
