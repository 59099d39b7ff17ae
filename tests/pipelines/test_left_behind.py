"""What a pipeline call leaves behind in the hook, and TeaCache in the pipeline."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import teaspec
from tests.pipelines.endings import FIRST, Ending, endings
from tests.pipelines.entry import Entry
from tests.pipelines.hooked import Decided, Hooked, uncached
from tests.pipelines.table import ENTRIES

each = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


def ways(*names: str, thorough: tuple[str, ...] = ()) -> Any:
    params = [
        pytest.param(
            *(entry, name, endings(entry)[name]),
            id=f"{entry.name}-{name}",
            marks=[pytest.mark.thorough] if name in thorough else [],
        )
        for entry in ENTRIES
        for name in (*names, *thorough)
        if name in endings(entry)
    ]
    return pytest.mark.parametrize(("entry", "way", "ending"), params)


def attributes(pipe: Any, entry: Entry) -> set[str]:
    """The names of the attributes of the pipeline, its scheduler, its transformers and all that is in these."""
    holders = {"pipeline": pipe, "scheduler": pipe.scheduler}
    for transformer in entry.transformers:
        holders |= {f"{transformer} {name}": module for name, module in getattr(pipe, transformer).named_modules()}
    return {f"{name}: {attribute}" for name, holder in holders.items() for attribute in vars(holder)}


def in_classes(pipe: Any, entry: Entry) -> dict[str, int]:
    """What is in the classes of these, and in those that they inherit from, by identity."""
    holders = [pipe, pipe.scheduler, *entry.modules(pipe)]
    every = {cls for holder in holders for cls in type(holder).__mro__ if cls is not object}
    return {
        f"{cls.__name__}: {name}": id(value)
        for cls in every
        for name, value in vars(cls).items()
        if name != "__annotations__"
    }


@ways("ended", "interrupted")
def test_a_call_that_ended_holds_nothing(entry: Entry, way: str, ending: Ending) -> None:
    hooked = Hooked(entry)
    ending(hooked)
    held = {name: hook.sessions.current().bytes_held for name, hook in hooked.hooks().items()}
    assert held == dict.fromkeys(entry.transformers, 0)


@each
def test_a_call_that_ended_is_the_last_generation(entry: Entry) -> None:
    hooked = Hooked(entry)
    decided = hooked.generate(FIRST).decided
    for name, hook in hooked.hooks().items():
        assert hook.decisions == ()
        assert hook.last_generation is not None
        found = [Decided.of(name, one) for one in hook.last_generation.decisions]
        assert found == [one for one in decided if one.transformer == name]


@ways("cancelled", thorough=("ended", "failed", "interrupted", "cancelled-at-once"))
def test_disabled_a_pipeline_is_what_it_was(entry: Entry, way: str, ending: Ending) -> None:
    plain = Hooked(entry, plain=True)
    classes = in_classes(plain.pipe, entry)
    ending(plain)
    hooked = Hooked(entry)
    ending(hooked)
    teaspec.disable(hooked.pipe)
    assert attributes(hooked.pipe, entry) - attributes(plain.pipe, entry) == set()
    assert in_classes(hooked.pipe, entry).items() - classes.items() == set()
    assert torch.equal(entry.call(hooked.pipe, FIRST), uncached(entry.name, FIRST))


@each
def test_a_scheduler_is_its_class_again(entry: Entry) -> None:
    """The one that was there first, and the one that came later."""
    hooked = Hooked(entry)
    hooked.generate(FIRST)
    first = hooked.pipe.scheduler
    name = next(iter(entry.schedulers))
    hooked.swap(name)
    hooked.generate(FIRST)
    second = hooked.pipe.scheduler
    teaspec.disable(hooked.pipe)
    assert torch.equal(entry.call(hooked.pipe, FIRST), uncached(entry.name, FIRST, name))
    for scheduler in (first, second):
        for method in (scheduler.step, scheduler.set_timesteps):
            assert method.__func__ is getattr(type(scheduler), method.__name__)
            assert method.__self__ is scheduler
            assert method.__name__ not in vars(scheduler)
        assert not [name for name, value in vars(scheduler).items() if callable(value)]


@each
def test_a_scheduler_is_left_alone_when_nothing_was_generated(entry: Entry) -> None:
    plain = entry.build()
    hooked = Hooked(entry)
    teaspec.disable(hooked.pipe)
    assert attributes(hooked.pipe, entry) - attributes(plain, entry) == set()
