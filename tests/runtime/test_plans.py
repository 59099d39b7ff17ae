"""A plan says which steps a budget computes: exactly so many, at any number of steps, whatever is forced."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import teaspec
from teaspec import Budget, Mask, TeaCacheConfig, register_extractor
from teaspec.catalog import SpecExtractor
from teaspec.compiler import load_spec
from teaspec.runtime.calibrations.calibration import Calibration, Defaults
from teaspec.runtime.calibrations.plans import Plan, find_plan
from teaspec.runtime.host.library import cache_context
from teaspec.runtime.rules.plan import Planned
from teaspec.runtime.settings.ruling import Ruling
from tests.runtime.denoising import SPECS
from tests.runtime.driving import choices, hooked, latents, reasons, signal
from tests.runtime.models import extract_flux, flux_pipeline, generate, tiny_flux
from tests.runtime.test_schedule import _on_an_accelerator, reads_of, run

PLAN = Plan(10, (0, 1, 2, 5), error=0.02, even=0.03, source="a test")


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any plan."""
    steps = draw(st.integers(2, 30))
    return Plan(steps, tuple(sorted({0} | draw(st.sets(st.integers(0, steps - 1))))))


@settings(deadline=None, max_examples=25)
@given(plan=plans())
def test_at_its_own_number_of_steps_a_plan_is_computed_as_it_stands(plan: Plan) -> None:
    """Goes red where the plan is followed from the step behind the next (`step > last + 1`)."""
    found = run(plan.steps, rule=Planned(len(plan.computed), (plan,)))
    assert found == list(plan.computed)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), plan=plans())
def test_a_budget_is_computed_exactly(data: st.DataObject, plan: Plan) -> None:
    """At other numbers of steps, with calls that fail, and with guards.

    Goes red without `end - wanted` in `next_in_plan`, and without `- closing` in it.
    """
    steps = data.draw(st.integers(2, 40))
    served = [count for count in range(1, steps + 1) if find_plan((plan,), count, steps) is not None]
    budget = data.draw(st.sampled_from(served))
    failing = data.draw(st.frozensets(st.integers(0, steps - 1), max_size=4))
    rule = Planned(budget, (plan,))
    assert len(run(steps, failing=failing, rule=rule)) == budget
    assert run(steps, failing=failing, rule=rule) == run(steps, rule=rule)
    warm = data.draw(st.integers(0, min(3, budget)))
    cool = data.draw(st.integers(0, min(3, budget - max(1, warm))))
    found = run(steps, rule=rule, warmup_steps=warm, cooldown_steps=cool)
    assert len(found) == budget
    assert {*range(min(warm, steps)), *range(steps - cool, steps)} <= set(found)


@settings(deadline=None, max_examples=300)
@given(plan=plans(), total=st.integers(1, 120), data=st.data())
def test_interpolated_steps_are_near_to_those_of_the_plan(plan: Plan, total: int, data: st.DataObject) -> None:
    """At the same number of computed steps each is less than a step from where it stood, where they do not meet.

    Goes red with `total` in place of `total - 1`, and where it does not keep steps apart.
    """
    count = data.draw(st.integers(1, total))
    placed = plan.placed(count, total)
    assert len(set(placed)) == count and list(placed) == sorted(placed)
    assert placed[0] == 0 and placed[-1] < total
    if count == len(plan.computed) > 1 and total >= plan.steps:
        exact = [step * (total - 1) / (plan.steps - 1) for step in plan.computed]
        assert max(abs(one - other) for one, other in zip(placed, exact, strict=True)) <= 0.5


def test_a_plan_of_28_steps_serves_20_and_50() -> None:
    plan = Plan(28, (0, 1, 2, 3, 5, 8, 11, 14, 17, 20, 23, 27))
    assert plan.placed(12, 28) == plan.computed
    assert plan.placed(9, 20) == (0, 1, 2, 4, 7, 10, 12, 15, 19)
    assert plan.placed(21, 50) == (0, 1, 2, 3, 4, 5, 7, 9, 11, 14, 17, 20, 23, 26, 29, 32, 35, 38, 41, 45, 49)
    for total, share in ((20, 9), (50, 21), (50, 22)):
        assert run(total, rule=Planned(share, (plan,))) == list(plan.placed(share, total))
    assert run(20, rule=Planned(0.42, (plan,))) == list(plan.placed(9, 20))


def test_reasons_say_whether_it_is_interpolated() -> None:
    """Goes red where `is_for` is always true."""
    for steps, count, wanted in ((10, 4, "plan"), (20, 8, "interpolated plan"), (10, 7, "schedule")):
        module, hook = hooked(num_inference_steps=steps, rule=Planned(count, (PLAN,)))
        with torch.no_grad():
            for index in range(steps):
                module(latents(), signal(1.0), float(steps - index))
        assert set(reasons(hook)[1:]) == {wanted}
        assert choices(hook).count("compute") == count


def test_of_several_plans_the_nearest_share_then_the_nearest_number_of_steps() -> None:
    """Goes red where the first that serves is taken."""
    half, third, long = Plan(10, (0, 1, 2, 3, 4)), Plan(10, (0, 1, 2)), Plan(40, tuple(range(20)))
    known = (half, third, long)
    assert find_plan(known, 15, 30) is long
    assert find_plan(known, 5, 10) is half
    assert find_plan(known, 6, 20) is third
    assert find_plan(known, 8, 10) is None
    assert find_plan((), 5, 10) is None


def test_without_a_plan_for_its_share_a_budget_is_even() -> None:
    """Goes red where a plan serves any share."""
    assert run(10, rule=Planned(7, (PLAN,))) == run(10, budget=7)


def test_a_step_that_is_forced_is_paid_for_and_the_plan_is_thinned_out() -> None:
    """Step 4 is forced; of 5 and 8, one is left. Goes red where the next of the plan is always taken, which is 5."""
    module, hook = hooked(rule=Planned(5, (Plan(10, (0, 1, 2, 5, 8)),)))
    prompts = torch.ones(1), torch.zeros(1)
    with torch.no_grad():
        for index in range(10):
            with cache_context(module, "cond", step_index=index, num_inference_steps=10):
                module(latents(), signal(1.0), 10.0 - index, prompt=prompts[index >= 4])
    assert [number for number, choice in enumerate(choices(hook)) if choice == "compute"] == [0, 1, 2, 4, 8]


def test_a_branch_that_begins_late_gets_its_share() -> None:
    """Goes red where `planned_before` is that of the even schedule, which has two before step 6, not three."""
    plan = Plan(12, (0, 1, 2, 7))
    module, hook = hooked(rule=Planned(4, (plan,)))
    with torch.no_grad():
        for index in range(12):
            for name in ("cond", "uncond") if index >= 6 else ("cond",):
                with cache_context(module, name, step_index=index, num_inference_steps=12):
                    module(latents(), signal(1.0), 12.0 - index)
    assert {name: counts.computed for name, counts in hook.counts.items()} == {"cond": 4, "uncond": 1}


def test_beside_a_forecast_of_the_user_only_plans_for_it_are_taken() -> None:
    """Goes red where `plans_for` returns all, or where the rule is not made anew when the limit changes."""
    line = Plan(10, (0, 1, 4, 8), forecast="line", limit=0.5)
    ruling = Ruling(Calibration(plans=(PLAN, line)))
    config = TeaCacheConfig(budget=4)
    assert ruling.of(config) == Planned(4, (PLAN, line))
    config.residual_limit = 0.7
    assert ruling.of(config) == Planned(4, (PLAN, line))  # of a forecast that nobody has set
    config.forecast = "last"
    assert ruling.of(config) == Planned(4, (PLAN,))  # which the last residual does not look at
    config.forecast, config.residual_limit = "line", 0.5
    assert ruling.of(config) == Planned(4, (line,))
    config.residual_limit = 0.7
    assert ruling.of(config) == Budget(4)
    assert ruling.of(TeaCacheConfig(budget=4, residual_order=1, residual_limit=0.5)) == Planned(4, (line,))


def test_what_it_is_says_what_reused_steps_add() -> None:
    """Goes red where two kinds are made of the same, or the limit is left out."""
    known = [Plan(10, (0, 4), kind, limit) for kind, limit in (("blend", 1.0), ("line", 0.5), ("parabola", 0.75))]
    told = "planned with blend, limit 1 or line, limit 0.5 or parabola, limit 0.75"
    assert str(Planned(2, tuple(known))) == f"budget 2, {told}"


def test_of_plans_for_the_same_steps_the_one_with_the_smallest_error_is_taken() -> None:
    """Goes red where the first is."""
    unknown, worse, better = (Plan(10, (0, 1, 4, 8), error=error) for error in (None, 0.02, 0.01))
    assert find_plan((unknown, worse, better), 4, 10) is better
    assert find_plan((unknown,), 4, 10) is unknown


@pytest.mark.parametrize("asked", [{}, {"forecast": "line", "residual_limit": 0.5}])
def test_reused_steps_add_what_the_plan_was_found_with_unless_the_user_says_it(asked: dict[str, Any]) -> None:
    """The oracle is a mask beside that forecast. Goes red where `_forecaster` never asks the rule, or always does."""
    plan = Plan(10, (0, 2, 3, 5, 8), forecast="blend", limit=1.0)
    mask = Mask(tuple(step in plan.computed for step in range(10)))
    register_extractor("FluxTransformer2DModel", extract_flux)
    pipe = flux_pipeline(tiny_flux())

    def made(**settings: Any) -> tuple[torch.Tensor, int]:
        with teaspec.enabled(pipe, **settings):
            return generate(pipe, 10), teaspec.stats(pipe).transformers[0].most_bytes

    found, held = made(rule=Planned(5, (plan,)), **asked)
    expected, bytes_expected = made(rule=mask, **(asked or {"forecast": "blend", "residual_limit": 1.0}))
    assert torch.equal(found, expected) and held == bytes_expected
    assert not torch.equal(found, made(rule=mask)[0])


@pytest.fixture
def planned_flux(tmp_path: Any) -> SpecExtractor:
    text = (SPECS / "flux.yaml").read_text(encoding="utf-8")
    plan = "{steps: 6, computed: [0, 1, 4], error: 0.02, even: 0.03, source: a test}"
    path = tmp_path / "flux.yaml"
    path.write_text(text.replace("  match: {", f"  plans: [{plan}]\n  match: {{", 1), encoding="utf-8")
    return SpecExtractor(path)


@pytest.mark.parametrize("asked", [{"budget": 3}, {"budget": 0.5}])
def test_a_pipeline_takes_the_plan_of_its_spec(
    asked: dict[str, Any], planned_flux: SpecExtractor, caplog: pytest.LogCaptureFixture
) -> None:
    """From YAML to the steps of a FluxPipeline with true CFG. Goes red where `_plain` leaves plans out."""
    register_extractor("FluxTransformer2DModel", planned_flux)
    pipe = flux_pipeline(tiny_flux())
    seen: list[Any] = []
    with caplog.at_level(logging.INFO, "teaspec"):
        teaspec.enable(pipe, **asked, on_decision=lambda _, decision: seen.append(decision))
    (line,) = [one.getMessage() for one in caplog.records if "by plan" in one.getMessage()]
    assert line.startswith("TeaCache on FluxTransformer2DModel, variant base: budget ")
    where = "from 5 to 8 and evenly placed beyond" if asked == {"budget": 3} else "where a generation has another"
    assert f"is placed by plan: 3 of 6 steps, interpolated {where}" in line
    assert "(relative error 0.02, evenly 0.03; a test)" in line
    generate(pipe, 6, cfg=True)
    computed = {(one.branch, one.step) for one in seen if one.decision == "compute"}
    assert {step for _, step in computed} == {0, 1, 4}
    assert len({branch for branch, _ in computed}) == 2
    assert "planned with last" in str(teaspec.stats(pipe))


def test_what_is_said_where_the_number_of_steps_is_known_or_no_plan_is_for_the_budget(
    planned_flux: SpecExtractor, caplog: pytest.LogCaptureFixture
) -> None:
    """Goes red where the share of the plan is not compared."""
    register_extractor("FluxTransformer2DModel", planned_flux)
    said = {}
    for name, asked in {
        "same": {"budget": 3, "num_inference_steps": 6},
        "other": {"budget": 10, "num_inference_steps": 20},
        "none": {"budget": 5, "num_inference_steps": 6},
        "line": {"budget": 3, "forecast": "line"},
        "threshold": {"rel_l1_thresh": 0.3},
    }.items():
        caplog.clear()
        with caplog.at_level(logging.INFO, "teaspec"), teaspec.enabled(flux_pipeline(tiny_flux()), **asked):
            said[name] = [one.getMessage() for one in caplog.records if "budget" in one.getMessage()]
    assert "by plan: 3 of 6 steps (relative" in said["same"][0]
    assert "by plan: 3 of 6 steps, interpolated to 10 of 20 (relative" in said["other"][0]
    for name in ("none", "line"):
        assert said[name][0].endswith("is placed evenly, for its plans are others: 3 of 6 steps with forecast='last'")
    assert said["threshold"] == []


def test_a_session_and_a_config_take_it_too(planned_flux: SpecExtractor) -> None:
    """Goes red where the plans are chosen by `enable` alone."""
    register_extractor("FluxTransformer2DModel", planned_flux)
    transformer = tiny_flux()
    teaspec.apply_teacache_hook(transformer, TeaCacheConfig(budget=2))
    hook = teaspec.find_teacache_hook(transformer)
    assert hook.rule == Planned(2, planned_flux.defaults.plans)
    with teaspec.session("a", budget=3):
        assert hook.rule == Planned(3, planned_flux.defaults.plans)


def test_a_variant_has_its_own() -> None:
    """Goes red where variants inherit plans."""
    text = (SPECS / "flux.yaml").read_text(encoding="utf-8")
    plan = "plans: [{steps: 4, computed: [0, 2], forecast: line, limit: 0.5}], "
    text = text.replace("    kontext: {", "    kontext: {" + plan)
    defaults = SpecExtractor(SPECS / "flux.yaml", load_spec(text)).defaults
    assert defaults.plans == ()
    assert defaults.variants["kontext"].plans == (Plan(4, (0, 2), "line", 0.5),)
    assert {name for name, one in defaults.variants.items() if one.plans} == {"kontext"}


@pytest.mark.parametrize("told", [{}, {"num_inference_steps": 6}])
def test_what_is_said_tells_the_forecast_of_the_plan(told: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Goes red where `_beside` is left out, at either place."""
    register_extractor("FluxTransformer2DModel", extract_flux, Defaults(plans=(Plan(6, (0, 3), "blend", 0.75),)))
    with caplog.at_level(logging.INFO, "teaspec"), teaspec.enabled(flux_pipeline(tiny_flux()), budget=2, **told):
        (line,) = [one.getMessage() for one in caplog.records if "by plan" in one.getMessage()]
    assert line.endswith("with forecast='blend', residual_limit=0.75")


def test_a_custom_calibration_has_them() -> None:
    register_extractor("FluxTransformer2DModel", extract_flux, Defaults(plans=(Plan(6, (0, 3)),)))
    transformer = tiny_flux()
    teaspec.apply_teacache_hook(transformer, TeaCacheConfig(budget=2))
    assert teaspec.find_teacache_hook(transformer).rule == Planned(2, (Plan(6, (0, 3)),))


def test_no_call_reads_a_value_from_the_device(planned_flux: SpecExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goes red where a planned budget asks for the signal (`needs_signal = True`), and where it measures."""
    waits = _on_an_accelerator(monkeypatch)
    register_extractor("FluxTransformer2DModel", planned_flux)
    pipe = flux_pipeline(tiny_flux())
    teaspec.enable(pipe, budget=3)
    hook = teaspec.find_teacache_hook(pipe.transformer)
    found = reads_of(hook, monkeypatch)
    with torch.no_grad():
        generate(pipe, 6, cfg=True)
    assert {one.computed for one in teaspec.stats(pipe).transformers[0].branches} == {3}
    assert (found, waits) == ([], [])
