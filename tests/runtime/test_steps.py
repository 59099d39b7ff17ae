"""Steps that are computed whatever has changed."""

from __future__ import annotations

from typing import Any

import pytest

from teaspec import TeaCacheBackend
from teaspec.runtime.host.library import cache_context
from teaspec.runtime.rules.steps import Place, forced
from teaspec.runtime.settings.config import TeaCacheConfig
from tests.runtime.driving import choices, hooked, latents, reasons, signal, snapshot
from tests.runtime.models import SingleStream

ALWAYS = {"thresh": 1e9}


def run(steps: int, **settings: Any) -> tuple[list[str], list[str]]:
    """One generation that would reuse every step but the first; its choices and reasons."""
    module, hook = hooked(**ALWAYS, **settings)
    for index in range(steps):
        module(latents(), signal(1.0), float(steps - index))
    return choices(hook), reasons(hook)


def test_without_settings_only_the_first_step_is_forced() -> None:
    found, why = run(5)
    assert found == ["compute", "reuse", "reuse", "reuse", "reuse"]
    assert why == ["first call", *["distance"] * 4]


def test_the_last_step_is_computed_where_the_number_is_known() -> None:
    found, why = run(5, num_inference_steps=5)
    assert found == ["compute", "reuse", "reuse", "reuse", "compute"]
    assert why[-1] == "last step"
    assert run(5, num_inference_steps=5, cooldown_steps=0)[0][-1] == "reuse"


@pytest.mark.parametrize(("cooldown", "computed"), [(2, 2), (0.3, 3), (0.05, 1), (1.0, 10)])
def test_cool_down(cooldown: float, computed: int) -> None:
    found, why = run(10, num_inference_steps=10, cooldown_steps=cooldown)
    assert found[10 - computed :] == ["compute"] * computed
    assert why[max(1, 10 - computed) :] == ["cool-down"] * min(9, computed)
    assert found[1 : 10 - computed] == ["reuse"] * max(0, 9 - computed)


@pytest.mark.parametrize(("warmup", "computed"), [(3, 3), (0.3, 3), (0.31, 4), (0.0, 1), (1, 1)])
def test_warm_up(warmup: float, computed: int) -> None:
    found, why = run(10, num_inference_steps=10, cooldown_steps=0, warmup_steps=warmup)
    assert found == ["compute"] * computed + ["reuse"] * (10 - computed)
    assert why[1:computed] == ["warm-up"] * (computed - 1)


def test_fractions_are_of_all_steps_whatever_their_rounding() -> None:
    for total in range(1, 200):
        config = TeaCacheConfig(coefficients=[0, 0, 0, 1, 0], warmup_steps=0.1)
        computed = sum(forced(config.guards, Place(step, step, total, 0)) == "warm-up" for step in range(total))
        assert computed == -(-total // 10)


def test_the_window() -> None:
    found, why = run(10, num_inference_steps=10, start=0.2, end=0.7)
    assert found == ["compute"] * 2 + ["reuse"] * 5 + ["compute"] * 3
    assert why == ["first call", "before the window", *["distance"] * 5, *["after the window"] * 2, "last step"]


def test_a_limit_of_reuses_in_a_row() -> None:
    found, why = run(8, max_consecutive_reuses=2)
    assert found == ["compute", "reuse", "reuse"] * 2 + ["compute", "reuse"]
    assert [why[3], why[6]] == ["too many reused"] * 2


def test_each_branch_counts_its_own_steps() -> None:
    module, hook = hooked(**ALWAYS, warmup_steps=2, num_inference_steps=4, max_consecutive_reuses=1)
    for step in range(4):
        for branch in ("cond", "uncond") if step else ("cond",):  # the second branch begins a step later
            with module.cache_context(branch):
                module(latents(), signal(1.0), 4.0 - step)
    by_branch = {
        branch: [one.reason for one in hook.decisions if one.branch == branch] for branch in ("cond", "uncond")
    }
    assert by_branch == {
        "cond": ["first call", "warm-up", "distance", "last step"],
        "uncond": ["first call", "warm-up", "last step"],  # the last one is the generation's
    }


def test_the_pipeline_may_tell_step_and_number() -> None:
    module, hook = hooked(**ALWAYS, num_inference_steps=100)
    for index in (5, 6, 7):  # a model that serves the second part of a generation
        with cache_context(module, "cond", step_index=index, num_inference_steps=8):
            module(latents(), signal(1.0), 100.0 - index)
    assert reasons(hook) == ["first call", "distance", "last step"]


def test_refresh_beats_the_config_until_the_next_refresh() -> None:
    module, hook = hooked(**ALWAYS, num_inference_steps=9)
    backend, pipe = TeaCacheBackend(), type("Pipe", (), {})()
    pipe.transformer = module
    for steps in (4, 6):
        backend.refresh(pipe, steps)
        for _ in range(2):  # the second generation has no refresh of its own
            for index in range(steps):
                module(latents(), signal(1.0), float(steps - index))
            module._reset_stateful_cache()
            assert [one.reason for one in hook.last_generation.decisions][-1] == "last step"
            assert hook.last_generation.counts["#0"].reused == steps - 2
    hook.expect(None)
    for index in range(9):
        module(latents(), signal(1.0), 9.0 - index)
    assert reasons(hook)[-2:] == ["distance", "last step"]


@pytest.mark.parametrize("number", [0, -1, 2.0, "4", True])
def test_a_number_of_steps_is_a_number(number: Any) -> None:
    module, _ = hooked()
    pipe = type("Pipe", (), {})()
    pipe.transformer = module
    with pytest.raises(ValueError, match="num_inference_steps must be an integer of at least 1, or None, found"):
        TeaCacheBackend().refresh(pipe, number)


@pytest.mark.parametrize(
    ("setting", "value"), [("warmup_steps", 0.1), ("cooldown_steps", 2), ("start", 0.1), ("end", 0.9)]
)
def test_a_setting_that_needs_the_number_of_steps_says_so_at_the_first_call(setting: str, value: Any) -> None:
    module, hook = hooked(**{setting: value})
    before = snapshot(hook)
    with pytest.raises(ValueError, match=rf"{setting}={value} needs the number of steps, and nobody told it"):
        module(latents(), signal(1.0), 1.0)
    assert snapshot(hook) == before
    assert module.steps_computed == 0
    hook.expect(20)
    module(latents(), signal(1.0), 1.0)


def test_settings_are_read_at_each_call() -> None:
    module, hook = hooked(SingleStream(), **ALWAYS)
    for index, limit in enumerate([None, None, 1, None]):
        hook.config.max_consecutive_reuses = limit
        module(latents(), signal(1.0), 9.0 - index)
    assert choices(hook) == ["compute", "reuse", "compute", "reuse"]
