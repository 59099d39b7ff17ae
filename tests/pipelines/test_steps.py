"""The first and the last steps of a generation are those that the scheduler makes first and last.

A step is a step of the scheduler: Heun's method makes nearly two for each that is asked for.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from tests.pipelines.entry import Entry, Request
from tests.pipelines.stepping import FIRST, LAST, Run, run
from tests.pipelines.table import BY_NAME

OWN = None
"""The scheduler that the pipeline has in the table."""

RUNS_WITH = {
    "flux": (OWN, "unipc"),
    "flux-img2img": (OWN,),
    "sd3": (OWN, "heun", "unipc"),
    "sd3-img2img": (OWN, "heun"),
    "wan": (OWN, "euler", "heun"),
    "wan-video2video": (OWN, "euler", "heun"),
    "cogvideox": (OWN, "heun", "unipc"),
    "cogvideox-video2video": (OWN, "heun", "unipc"),
}
STEPS = 10
REUSE_ALL = {"rel_l1_thresh": 1e6, "coefficients": [0, 0, 0, 1, 0], "warmup_steps": 0}
"""What nothing forces is reused."""


def runs() -> Any:
    params = []
    for name, schedulers in RUNS_WITH.items():
        entry = BY_NAME[name]
        for scheduler in schedulers:
            for strength in (1.0, 0.5) if entry.strength else (1.0,):
                label = scheduler or type(entry.build().scheduler).__name__.removesuffix("Scheduler")
                request = Request(steps=STEPS, strength=strength)
                params.append(pytest.param(entry, request, scheduler, id=f"{name}-{label}-{strength}"))
    return pytest.mark.parametrize(("entry", "request_", "scheduler"), params)


@cache
def untold(name: str, request: Request, scheduler: str | None) -> Run:
    """Nobody says how many steps there are."""
    return run(BY_NAME[name], request, scheduler, **REUSE_ALL)


def check_steps(found: Run, request: Request, scheduler: str | None) -> None:
    """The generation was as long as was asked for."""
    asked = round(request.steps * request.strength)
    assert found.steps in ((2 * asked - 1, 2 * asked) if scheduler == "heun" else (asked,))
    assert {one.step for one in found.placed} == set(range(found.steps))


@runs()
def test_the_last_step_is_computed(entry: Entry, request_: Request, scheduler: str | None) -> None:
    found = run(entry, request_, scheduler, rel_l1_thresh=0.2)
    check_steps(found, request_, scheduler)
    assert set(found.reasons(-1)) == {"last step"}
    assert found.steps_with(LAST) == {found.steps - 1}
    assert found.steps_with({"first call"}) == {0}
    assert found.steps - 1 in found.computed()


@runs()
def test_only_the_first_and_the_last_step_are_computed(entry: Entry, request_: Request, scheduler: str | None) -> None:
    found = untold(entry.name, request_, scheduler)
    assert set(found.reasons(0)) == {"first call"}
    assert set(found.reasons(-1)) == {"last step"}
    assert found.steps_with(FIRST | LAST) == found.computed() == {0, found.steps - 1}


@runs()
def test_cool_down(entry: Entry, request_: Request, scheduler: str | None) -> None:
    found = run(entry, request_, scheduler, **REUSE_ALL, cooldown_steps=2)
    assert set(found.reasons(-1, -2)) == {"cool-down"}
    assert found.steps_with(LAST) == {found.steps - 2, found.steps - 1}
    assert found.computed() == {0, found.steps - 2, found.steps - 1}


@runs()
def test_warm_up(entry: Entry, request_: Request, scheduler: str | None) -> None:
    found = run(entry, request_, scheduler, **{**REUSE_ALL, "warmup_steps": 3})
    assert set(found.reasons(0)) == {"first call"}
    assert set(found.reasons(1, 2)) == {"warm-up"}
    assert found.steps_with(FIRST) == {0, 1, 2}
    assert found.computed() == {0, 1, 2, found.steps - 1}


@pytest.mark.parametrize("told", [6, pytest.param(12, marks=pytest.mark.thorough)])
@runs()
def test_a_number_of_steps_that_is_wrong_does_no_harm(
    entry: Entry, request_: Request, scheduler: str | None, told: int
) -> None:
    found = run(entry, request_, scheduler, **REUSE_ALL, num_inference_steps=told)
    assert found == untold(entry.name, request_, scheduler)


@pytest.mark.parametrize("scheduler", [None, "unipc", "heun"], ids=["FlowMatchEulerDiscrete", "unipc", "heun"])
def test_the_last_step_of_two_transformers_is_that_of_the_second(scheduler: str | None) -> None:
    entry = BY_NAME["wan22"]
    found = run(entry, Request(steps=STEPS), scheduler, **REUSE_ALL)
    models = list(dict.fromkeys(one.transformer for one in found.placed))
    assert len(models) == 2
    begins = min(one.step for one in found.placed if one.transformer is models[1])
    assert 1 < begins < found.steps - 2
    assert all((one.transformer is models[1]) == (one.step >= begins) for one in found.placed)
    assert set(found.reasons(-1)) == {"last step"}
    assert found.steps_with(LAST) == {found.steps - 1}
    assert found.computed() == {0, begins, found.steps - 1}


def test_a_pipeline_may_ask_its_scheduler_twice_a_step() -> None:
    """And put it back in between: what has been stepped twice is one step all the same."""
    found = run(BY_NAME["cosmos"], Request(steps=STEPS), **REUSE_ALL, cooldown_steps=2)
    assert found.steps == 2 * STEPS
    assert {one.step for one in found.placed} == set(range(0, 2 * STEPS, 2))
    assert found.steps_with({"cool-down"}) == {2 * STEPS - 4, 2 * STEPS - 2}
    assert found.computed() == {0, 2 * STEPS - 4, 2 * STEPS - 2}


def test_the_last_of_half_as_many_steps_is_found_again() -> None:
    """The number of steps is that of each generation."""
    entry = BY_NAME["sd3"]
    whole, half = (run(entry, Request(steps=steps), **REUSE_ALL) for steps in (STEPS, STEPS // 2))
    assert (whole.computed(), half.computed()) == ({0, STEPS - 1}, {0, STEPS // 2 - 1})
    assert replace(half, steps=whole.steps) != whole
