"""A budget computes as many steps as it says, whatever happens; and nothing is read from a device for it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

import teaspec
from teaspec import Budget, Mask, TeaCacheConfig, register_extractor
from teaspec.runtime.generation import conditioning, moments
from teaspec.runtime.host.library import cache_context
from teaspec.runtime.rules import numbers as on_a_device
from teaspec.runtime.step import deciding, ranks
from tests.runtime.denoising import Denoiser
from tests.runtime.driving import choices, hooked, latents, reasons, signal
from tests.runtime.models import extract_flux, flux_pipeline, generate, tiny_flux


def run(steps: int, told: int | None = None, failing: frozenset[int] = frozenset(), **settings_: Any) -> list[int]:
    """One generation; the numbers of its computed steps. Calls at some steps fail once, and are made again."""
    module, hook = hooked(num_inference_steps=steps if told is None else told, **settings_)
    fails = False

    def fail(*_: Any) -> None:
        if fails:
            raise KeyboardInterrupt

    module.head.register_forward_pre_hook(fail)
    with torch.no_grad():
        for index in range(steps):
            arguments = latents(), signal(1.0), float(steps - index)
            if fails := index in failing:
                with pytest.raises(KeyboardInterrupt):
                    module(*arguments)
                fails = False
            module(*arguments)
    return [number for number, choice in enumerate(choices(hook)) if choice == "compute"]


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_budget_is_computed_exactly_and_evenly(data: st.DataObject) -> None:
    """Goes red with one more in `next_in_turn`, without the `- closing` in it, and where a failed call is counted."""
    steps = data.draw(st.integers(2, 60))
    budget = data.draw(st.integers(2, steps))
    failing = data.draw(st.frozensets(st.integers(0, steps - 1), max_size=4))
    found = run(steps, failing=failing, budget=budget)
    assert len(found) == budget
    assert (found[0], found[-1]) == (0, steps - 1)
    gaps = [after - before for before, after in pairwise(found)]
    assert max(gaps) - min(gaps) <= 1
    assert found == run(steps, budget=budget)  # and it is the same each time


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_what_the_guards_force_is_paid_for(data: st.DataObject) -> None:
    """Goes red where `closing_steps` leaves the window, or the cool-down, out."""
    steps = data.draw(st.integers(4, 40))
    warm, cool = data.draw(st.integers(0, 3)), data.draw(st.none() | st.integers(0, 3))
    start, end = data.draw(st.sampled_from((0.0, 0.1, 0.25))), data.draw(st.sampled_from((1.0, 0.9, 0.75)))
    first = max(1, warm, -(-int(1000 * start) * steps // 1000))
    last = max(1 if cool is None else cool, steps - -(-int(1000 * end) * steps // 1000))
    budget = data.draw(st.integers(min(steps, first + last), steps))
    found = run(steps, budget=budget, warmup_steps=warm, cooldown_steps=cool, start=start, end=end)
    assert len(found) == budget
    assert {*range(first), *range(steps - last, steps)} <= set(found)


def test_a_fraction_is_of_the_steps_that_run_and_rounded_up() -> None:
    for steps in range(2, 50):
        assert len(run(steps, budget=0.4)) == -(-4 * steps // 10)
    assert run(10, budget=1.0) == list(range(10))
    assert run(10, budget=50) == list(range(10))
    assert run(10, budget=1) == [0]


def test_more_forced_steps_than_the_budget_has_are_an_error_at_the_first_call() -> None:
    wanted = "budget=4 is 4 of 10 steps, and the settings for both ends of a generation have 6 computed: raise"
    with pytest.raises(ValueError, match=wanted):
        run(10, budget=4, warmup_steps=3, cooldown_steps=3)


def test_where_nobody_knows_the_number_of_steps_the_first_call_says_what_to_do() -> None:
    module, _ = hooked(budget=4)
    with pytest.raises(ValueError, match=r"budget=4 needs the number of steps.*give num_inference_steps in the config"):
        module(latents(), signal(1.0), 9.0)


def test_steps_beyond_those_that_were_told_are_computed() -> None:
    assert run(8, told=5, budget=2) == [0, 4, 5, 6, 7]


def test_a_limit_of_reuses_in_a_row_is_paid_for() -> None:
    assert run(9, budget=5, max_consecutive_reuses=1) == [0, 2, 4, 6, 8]
    assert run(9, budget=3, max_consecutive_reuses=3) == [0, 4, 8]


def test_a_call_that_is_computed_for_another_reason_is_paid_for() -> None:
    """Goes red where a branch that is lost begins with its share, and not with what was computed of it."""
    module, hook = hooked(budget=4)
    prompts = torch.ones(1), torch.zeros(1), torch.full((1,), 2.0)
    with torch.no_grad():
        for index in range(12):
            with cache_context(module, "cond", step_index=index, num_inference_steps=12):
                module(latents(), signal(1.0), 12.0 - index, prompt=prompts[min(index, 2)])
    assert reasons(hook)[1:3] == ["other conditioning"] * 2
    assert [number for number, choice in enumerate(choices(hook)) if choice == "compute"] == [0, 1, 2, 11]


def test_a_branch_that_begins_late_gets_its_share() -> None:
    module, hook = hooked(budget=4)
    with torch.no_grad():
        for index in range(12):
            for name in ("cond", "uncond") if index >= 6 else ("cond",):
                with cache_context(module, name, step_index=index, num_inference_steps=12):
                    module(latents(), signal(1.0), 12.0 - index)
    assert {name: counts.computed for name, counts in hook.counts.items()} == {"cond": 4, "uncond": 2}


def test_the_same_budget_for_each_branch() -> None:
    denoiser = Denoiser.make("flux", budget=2)
    denoiser.generate(1, "step")
    for counts in denoiser.hook.counts.values():
        assert (counts.computed, counts.reused) == (2, 2)


@pytest.mark.parametrize("mask", [[1, 0, 1, 0, 0, 1], (True, False, True, False, False, True), "101"])
def test_a_mask(mask: Any) -> None:
    if mask == "101":
        assert run(3, rule=Mask([one == "1" for one in mask])) == [0, 2]
        return
    assert run(6, rule=Mask(mask)) == [0, 2, 5]
    assert run(6, rule=Mask([0, *mask[1:]])) == [0, 2, 5]
    wanted = r"the mask is for 6 steps, and this generation has \d: give a mask for \d steps, or a budget.*budget=0\.5"
    for steps in (5, 7):
        with pytest.raises(ValueError, match=wanted):
            run(steps, rule=Mask(mask))


@pytest.mark.parametrize("budget", [0, -1, 0.0, 1.5, float("nan"), True, "4"])
def test_what_is_no_budget_is_refused(budget: Any) -> None:
    with pytest.raises(ValueError, match="budget must be a number of steps"):
        TeaCacheConfig(budget=budget)
    with pytest.raises(ValueError, match="budget must be a number of steps"):
        Budget(budget)


def test_a_float_that_is_meant_as_a_number_gets_a_hint() -> None:
    with pytest.raises(ValueError, match=r"found 12\.0; 12 steps are budget=12"):
        TeaCacheConfig(budget=12.0)


def test_a_mask_of_nothing_is_refused() -> None:
    for mask in ((), None, 3):
        with pytest.raises(ValueError, match="a mask says for each step"):
            Mask(mask)


class Reads(TorchDispatchMode):
    """Counts what would wait for an accelerator."""

    WAITS = ("_local_scalar_dense", "equal", "item", "is_nonzero", "nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in self.WAITS:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


def reads_of(hook: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the calls of a hook from now on would wait for."""
    forward, found = hook.new_forward, list[str]()

    def watched(*args: Any, **kwargs: Any) -> Any:
        with Reads() as reads:
            output = forward(*args, **kwargs)
        found.extend(reads.found)
        return output

    monkeypatch.setattr(hook, "new_forward", watched)
    return found


@pytest.mark.parametrize(
    "asked", [{"budget": 3}, {"budget": 3, "residual_order": 1}, {"rule": Mask([1, 0, 0, 1, 0, 1])}]
)
def test_no_call_reads_a_value_from_the_device(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline with true CFG, whose tensors are taken for those of an accelerator.

    Goes red without `_needs_no_time` in the decider: then each call reads its timestep; and with the threshold.
    """
    waits = _on_an_accelerator(monkeypatch)
    register_extractor("FluxTransformer2DModel", extract_flux)
    pipe = flux_pipeline(tiny_flux())
    teaspec.enable(pipe, **asked)
    hook = teaspec.find_teacache_hook(pipe.transformer)
    found = reads_of(hook, monkeypatch)
    with torch.no_grad():
        generate(pipe, cfg=True)
    assert {one.computed for one in teaspec.stats(pipe).transformers[0].branches} == {3}
    assert (found, waits) == ([], [])


def test_the_threshold_waits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the count of the test above is known to see something."""
    waits = _on_an_accelerator(monkeypatch)
    register_extractor("FluxTransformer2DModel", extract_flux)
    pipe = flux_pipeline(tiny_flux())
    teaspec.enable(pipe, rel_l1_thresh=0.3)
    generate(pipe, cfg=True)
    assert len(waits) == 12


def _on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    waits: list[int] = []

    def read(*values: Any) -> Any:
        given_ = sum(isinstance(value, torch.Tensor) for value in values)
        waits.extend([given_] if given_ else [])
        return on_a_device.read(*values)

    for home in (moments, conditioning):
        monkeypatch.setattr(home, "costs_nothing_to_read", lambda tensor: False)
    for home in (ranks, deciding):
        monkeypatch.setattr(home, "read", read)
    return waits


def test_the_modulated_input_is_not_even_computed() -> None:
    """Goes red where the hook calls the modulated input in any case."""
    for settings_, expected in (({"budget": 2}, 2), ({}, 4)):
        denoiser, calls = Denoiser.make("flux", **settings_), []
        norm = denoiser.model.transformer_blocks[0].norm1
        norm.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        denoiser.generate(1, "step")
        computed = sum(one.decision == "compute" for one in denoiser.hook.decisions)
        assert len(calls) == computed + (0 if settings_ else 8), (settings_, expected)


def test_a_rule_that_asks_for_what_it_did_not_say_it_needs_is_told() -> None:
    class Greedy(Budget):
        def follow(self, call: Any, *rest: Any) -> Any:
            return call.signal

    denoiser = Denoiser.make("flux", rule=Greedy(2))
    with pytest.raises(RuntimeError, match="set `needs_signal = True` on the class"):
        denoiser.generate(1, "step")


def test_sessions_have_budgets_of_their_own() -> None:
    module, hook = hooked(budget=6, num_inference_steps=12)
    asked: dict[str, Any] = {"a": {"budget": 3}, "b": {"budget": 0.5}, "c": {}, "d": {"rule": teaspec.Always()}}
    with torch.no_grad():
        for index in range(12):
            for key, wish in asked.items():
                # Said once, it holds until the session ends.
                with teaspec.session(key, **(wish if index == 0 else {})):
                    module(latents(), signal(1.0), 12.0 - index)
    computed = {one.key: one.log.current.counts["#0"].computed for one in hook.sessions.all}
    assert computed == {"a": 3, "b": 6, "c": 6, "d": 12}


def test_a_session_may_ask_for_a_threshold_on_the_scale_of_the_transformer() -> None:
    denoiser = Denoiser.make("flux", budget=2)
    with teaspec.session("a", rel_l1_thresh=0.3):
        rule = denoiser.hook.rule
    assert (rule.bound, rule.accumulate) == (0.3, "signed")
    with teaspec.session(None, budget=3):
        assert denoiser.hook.rule == Budget(3)
    assert denoiser.hook.rule == Budget(2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"budget": 4, "rel_l1_thresh": 0.2},
            r"budget=4 and rel_l1_thresh=0\.2 each say what decides; give one of them",
        ),
        ({"budget": 4, "preset": "fast"}, r"budget=4 and preset='fast' each say what decides"),
        ({"budget": 4, "rule": Budget(3)}, r"rule=Budget\(budget=3\) and budget=4 each say what decides"),
        ({"budget": 4, "coefficients": [0, 0, 0, 1, 0]}, r"coefficients=\[.*\] says how rel_l1_thresh is reached"),
        ({"budget": 4, "accumulate": "signed"}, r"does not decide beside budget=4; leave it out"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TeaCacheConfig(**asked)
    if not asked.keys() - {"budget", "rel_l1_thresh", "rule"}:
        with pytest.raises(ValueError, match="each say what decides"), teaspec.session("a", **asked):
            raise AssertionError


def test_reasons_are_those_of_a_schedule() -> None:
    module, hook = hooked(budget=2, num_inference_steps=3)
    for index in range(3):
        module(latents(), signal(1.0), 3.0 - index)
    assert reasons(hook) == ["first call", "schedule", "schedule"]
    assert [dict(one.numbers) for one in hook.decisions] == [{}, {"left": 1}, {"left": 1}]
    assert "budget 2" in str(teaspec.stats(module))
