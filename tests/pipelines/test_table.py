"""The table itself: without TeaCache, and with a fresh hook."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.cache_utils import CacheMixin

from tests.pipelines.endings import FIRST, asked_each_time
from tests.pipelines.entry import Entry
from tests.pipelines.hooked import Hooked, fresh, uncached, uncached_again
from tests.pipelines.table import ENTRIES

each = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
swapped = [
    pytest.param(
        *(entry, scheduler),
        id=f"{entry.name}-{scheduler}",
        marks=[pytest.mark.thorough] if number else [],
    )
    for entry in ENTRIES
    for number, scheduler in enumerate(entry.schedulers)
]


def test_there_is_one_of_each_kind() -> None:
    kinds = ["text to image", "image to image", "inpaint", "edit"]
    kinds += ["text to video", "image to video", "video to video", "sound"]
    assert {entry.kind for entry in ENTRIES} == set(kinds)
    assert len({type(entry.build()) for entry in ENTRIES}) >= 25
    assert {isinstance(entry.build().transformer, CacheMixin) for entry in ENTRIES} == {False, True}


@each
def test_two_pipelines_give_the_same(entry: Entry) -> None:
    image = uncached(entry.name, FIRST)
    assert image.isfinite().all()
    assert torch.equal(image, uncached_again(entry, FIRST))


@each
def test_what_is_asked_for_matters(entry: Entry) -> None:
    found = {
        name: fresh(entry.name, wish.request, wish.scheduler).image for name, wish in asked_each_time(entry).items()
    }
    assert len({float(image.double().sum()) for image in found.values()}) == len(found)
    assert found["other-size"].numel() == 2 * found["the-same"].numel()


@pytest.mark.parametrize(("entry", "scheduler"), swapped)
def test_another_scheduler_makes_another_image(entry: Entry, scheduler: str) -> None:
    image = uncached(entry.name, FIRST, scheduler)
    assert image.isfinite().all()
    assert not torch.equal(image, uncached(entry.name, FIRST))


@each
def test_everything_computed_changes_nothing(entry: Entry) -> None:
    found = Hooked(entry, rel_l1_thresh=1e-9).generate(FIRST)
    assert torch.equal(found.image, uncached(entry.name, FIRST))
    assert found.reused == 0


@each
def test_about_half_is_reused(entry: Entry) -> None:
    found = fresh(entry.name, FIRST)
    assert 0.25 <= found.reused <= 0.75
    assert not torch.equal(found.image, uncached(entry.name, FIRST))
