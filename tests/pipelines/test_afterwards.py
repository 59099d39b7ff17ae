"""However a generation ended, the next one is that of a fresh pipeline with a fresh hook, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.pipelines.endings import afterwards, cells, endings
from tests.pipelines.hooked import Hooked, fresh
from tests.pipelines.table import BY_NAME, ENTRIES


def pairs() -> list[Any]:
    params = []
    for entry in ENTRIES:
        tried, wide = cells(entry)
        for way, wish in (*tried, *wide):
            marks = () if (way, wish) in tried else (pytest.mark.thorough,)
            params.append(pytest.param(entry.name, way, wish, id=f"{entry.name}-{way}-{wish}", marks=marks))
    return params


@pytest.mark.parametrize(("name", "way", "wish"), pairs())
def test_the_next_generation_is_like_a_fresh_one(name: str, way: str, wish: str) -> None:
    entry = BY_NAME[name]
    wanted = afterwards(entry)[wish]
    expected = fresh(name, wanted.request, wanted.scheduler)
    assert 0 < expected.reused < 1
    hooked = Hooked(entry)
    endings(entry)[way](hooked)
    if wanted.scheduler is not None:
        hooked.swap(wanted.scheduler)
    found = hooked.generate(wanted.request)
    assert found.decided == expected.decided
    assert torch.equal(found.image, expected.image)
    assert found.image.isfinite().all()
