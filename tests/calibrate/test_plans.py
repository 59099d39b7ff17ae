"""Plans are found by what residuals tell, checked by generations, and judged by prompts that took no part in it."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import teaspec
from teaspec.calibrate.choosing import FORECASTS, JUDGES, Added, Choice, Choosing, better_half, evenly, mask_of
from teaspec.calibrate.placing import Placing, moved_by_one
from teaspec.calibrate.plans import Planning, Search, find_plans
from teaspec.calibrate.residuals import Residuals
from teaspec.calibrate.run import parted
from teaspec.calibrate.trials import Outcome, Trials, relative_l2
from teaspec.calibrate.write import with_fit
from teaspec.compiler import load_spec
from teaspec.runtime.calibrations import registry
from teaspec.runtime.calibrations.plans import Plan
from teaspec.runtime.rules.forecast import forecast_for
from tests.calibrate.prompted import Prompted
from tests.calibrate.test_command import FIT, ORIGIN
from tests.runtime.denoising import SPECS

STEPS = 7


def drawn(seed: int, steps: int = 9, size: int = 5) -> tuple[np.ndarray, Residuals]:
    """Residuals that turn and grow, at uneven times, and what would be recorded of them."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(steps, size)).cumsum(axis=0)
    share = draw.uniform(0.5, 2, steps)
    share /= share.sum()
    at, sizes = np.concatenate([[0], share.cumsum()[:-1]]), draw.uniform(1, 3, steps)
    moved = vectors - vectors[0]
    return vectors, Residuals(moved @ moved.T, sizes, at, share)


@pytest.mark.parametrize("kind", ["last", "line"])
def test_what_reused_steps_come_to_is_what_the_vectors_say(kind: Any) -> None:
    """The oracle follows the vectors themselves. Goes red where shares, sizes or the limit are left out."""
    limit = 0.5
    for seed in range(5):
        vectors, known = drawn(seed)
        computed = (0, 1, 4, 6)
        offs = []
        for step in range(9):
            last, *before = [one for one in reversed(computed) if one <= step]
            if last == step:
                continue
            guess = vectors[last]
            if kind == "line" and before:
                reach = (known.at[step] - known.at[last]) / (known.at[last] - known.at[before[0]])
                guess = guess + min(reach, limit) * (vectors[last] - vectors[before[0]])
            offs.append(known.share[step] * (guess - vectors[step]) / math.sqrt(known.sizes[step]))
        found = Placing(known, forecast_for(kind, 0, limit)).expected(computed)
        assert found.joint == pytest.approx(np.linalg.norm(sum(offs)))
        assert found.summed == pytest.approx(sum(np.linalg.norm(off) for off in offs))


def test_the_search_comes_near_to_the_best_of_all() -> None:
    """All of them are tried. Goes red without the moves behind the taking away, and where the worst is taken away."""
    exact = 0
    for seed in range(12):
        placing = Placing(drawn(seed)[1], forecast_for("last", 0, 1.0))
        everything = [(0, *rest) for rest in combinations(range(1, 9), 3)]
        optimum = min(placing.expected(one).summed for one in everything)
        found = placing.best(4, lambda one: one.summed)
        assert found[0] == 0 and len(found) == 4
        value = placing.expected(found).summed
        assert value <= 1.1 * optimum
        assert value <= placing.expected(evenly(4, 9)).summed + 1e-12
        exact += value == pytest.approx(optimum)
    assert exact >= 10


def test_neighbours_differ_by_one_step_of_one() -> None:
    assert set(moved_by_one((0, 3, 4), 6)) == {(0, 2, 4), (0, 3, 5)}
    assert set(moved_by_one((0, 1), 3)) == {(0, 2)}


@pytest.mark.parametrize(("budget", "steps"), [(1, 9), (4, 9), (9, 9), (12, 28)])
def test_even_steps_are_those_of_a_budget(budget: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of `teaspec.Budget`, asked for itself."""
    from tests.runtime.test_schedule import run

    monkeypatch.setattr(registry, "_entries", {})  # `run` registers a model of the tests
    assert list(evenly(budget, steps)) == run(steps, budget=budget)
    assert sum(mask_of(evenly(budget, steps), steps)) == budget


def make(pipeline: Prompted, number: int) -> torch.Tensor:
    made: torch.Tensor = pipeline("a prompt", STEPS, torch.Generator().manual_seed(number))
    return made


def test_what_is_recorded_is_what_the_blocks_added() -> None:
    """By hooks on the blocks themselves. Goes red where a step's change is not added to those before it."""
    pipeline = Prompted()
    entered: list[torch.Tensor] = []
    added: list[torch.Tensor] = []
    sizes: list[float] = []
    first, last = pipeline.transformer.transformer_blocks[0], pipeline.transformer.single_transformer_blocks[-1]
    first.register_forward_pre_hook(
        lambda _, args, kwargs: entered.append(kwargs["hidden_states"].clone()), with_kwargs=True
    )

    def behind(_module: Any, _args: Any, output: Any) -> None:
        hidden = output[1]
        added.append((hidden - entered[-1]).flatten().double())
        sizes.append(float(hidden.double().square().sum()))

    last.register_forward_hook(behind)
    (found,) = Trials(pipeline, lambda number: make(pipeline, number)).recorded([0])
    moved = torch.stack(added) - added[0]
    assert len(found) == STEPS
    np.testing.assert_allclose(found.products, (moved @ moved.T).numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.sizes[1:], sizes[1:], rtol=1e-4)
    assert found.share.sum() == pytest.approx(1, abs=0.01)


def test_branches_of_another_length_are_left_out_of_the_average() -> None:
    """Goes red where the longest counts."""
    one, two = drawn(0)[1], drawn(1)[1]
    longer = drawn(2, steps=12)[1]
    mean = Residuals.mean([one, longer, two])
    np.testing.assert_allclose(mean.products, (one.products + two.products) / 2)
    with pytest.raises(ValueError, match="no residuals were recorded"):
        Residuals.mean([])


def test_a_search_is_judged_by_what_it_has_not_seen() -> None:
    """Errors are those of the plan, by hand; the order is that of the errors. Goes red where `held_out` is `seen`."""
    pipeline = Prompted()
    ran: list[int] = []

    def run(number: int) -> torch.Tensor:
        ran.append(number)
        return make(pipeline, number)

    done: list[int] = []
    search = Search([3, 5], [Added("blend", 1.0), Added("line", 0.5)], seen=[0, 1], held_out=[2], moves=2)
    found = find_plans(Trials(pipeline, run, done=lambda: done.append(1), steps=STEPS), search)
    assert [len(plan.computed) for plan in found.plans] == [3, 5]
    assert len(done) == len(ran) <= search.generations
    expected = make(pipeline, 2)
    for plan in found.plans:
        assert (plan.steps, plan.computed[0]) == (STEPS, 0)
        beside: dict[str, Any] = {"forecast": plan.forecast, "residual_limit": plan.limit}
        for computed, error in ((plan.computed, plan.error), (evenly(len(plan.computed), STEPS), plan.even)):
            with teaspec.enabled(pipeline, rule=teaspec.Mask(mask_of(computed, STEPS)), **beside):
                made = make(pipeline, 2)
            assert error == pytest.approx(float((made - expected).norm() / expected.norm()), rel=1e-4)
    for budget in (3, 5):
        rows = [row for row in found.ranking if row.budget == budget]
        assert [row.error for row in rows] == sorted(row.error for row in rows)
        assert {row.rule.split()[0] for row in rows} == {"plan", "even", "tolerance"}
        assert {row.forecast for row in rows if row.rule == "even"} == {"last", "line", "blend"}
        assert all(row.computed == budget for row in rows if row.rule in ("plan", "even"))


def test_a_plan_is_never_worse_than_even_steps_on_what_it_was_chosen_by() -> None:
    """Goes red where even steps are not among those that are tried."""
    pipeline = Prompted()
    trials = Trials(pipeline, lambda number: make(pipeline, number), steps=STEPS)
    (plan,) = find_plans(trials, Search([4], [Added("last", 1.0)], seen=[0, 1], held_out=[2], moves=2)).plans
    chosen, even = (
        trials.of({"rule": teaspec.Mask(mask_of(computed, STEPS))}, [0, 1]).error
        for computed in (plan.computed, evenly(4, STEPS))
    )
    assert chosen <= even


def test_the_forecast_that_is_best_beside_even_steps_may_lose_to_another() -> None:
    """Of an error that is known: how far from the wanted steps, and which forecast. Goes red where the forecast is not
    changed behind the beginnings, where `left` is not counted, and where the worse half is begun with."""
    recorded = drawn(3, steps=12)[1]
    wanted = (0, 1, 4, 7, 11)
    prices = {Added("last", 1.0): 0.2, Added("line", 0.5): 0.3, Added("line", 1.0): 0.1, Added("blend", 0.5): 5.0}
    tried: list[Choice] = []

    def error(one: Choice) -> float:
        tried.append(one)
        off = sum(abs(step - other) for step, other in zip(one.computed, wanted, strict=True))
        # The best one where the steps are as wanted is not the best one beside even steps.
        return off + (0.05 if off == 0 and one.added == Added("line", 0.5) else prices[one.added])

    def best(moves: int) -> Choice:
        tried.clear()
        found = Choosing(recorded, list(prices), error, moves).best(5)
        assert len(tried) == len(set(tried)) <= len(prices) + len(JUDGES) * better_half(len(prices)) + moves
        assert min(map(error, tuple(tried))) == error(found)
        return found

    assert best(200) == Choice(wanted, Added("line", 0.5))
    assert best(4) in tried and best(0) in tried
    even = evenly(5, 12)
    assert {one.added for one in tried if one.computed == even} == set(prices)
    assert {one.added for one in tried if one.computed != even} <= {Added("last", 1.0), Added("line", 1.0)}


def test_a_generation_that_went_astray_does_not_outweigh_all_others() -> None:
    """Goes red where `error` is the arithmetic mean, and where an exact result has no logarithm."""
    assert Outcome((0.01, 0.02, 0.04), 4).error == pytest.approx(0.02)
    assert Outcome((0.01, 0.01, 1.0), 4).error < Outcome((0.05, 0.05, 0.05), 4).error
    assert Outcome((0.0, 0.0), 4).error < 1e-8


def test_more_steps_than_there_are_is_an_error() -> None:
    pipeline = Prompted()
    trials = Trials(pipeline, lambda number: make(pipeline, number), steps=STEPS)
    with pytest.raises(ValueError, match="a generation has 7 steps, and a plan for 8 was asked for: give budgets from"):
        find_plans(trials, Search([8], FORECASTS, [0], [1]))


def test_relative_l2_is_that_of_all_that_is_in_a_result() -> None:
    made, uncached = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[3.0, 0.0], [4.0, 0.0]])
    assert relative_l2(made, uncached) == [pytest.approx(math.sqrt(32) / 5)]


def test_prompts_are_parted() -> None:
    assert parted(8, None) == (range(6), range(6, 8))
    assert parted(2, None) == (range(1), range(1, 2))
    assert parted(80, 64) == (range(16), range(16, 80))
    with pytest.raises(ValueError, match="of 1, 1 cannot be held out; give more prompts"):
        parted(1, None)
    with pytest.raises(ValueError, match="of 4, 4 cannot be held out; hold out 1 to 3"):
        parted(4, 4)


PLANS = (
    Plan(28, (0, 1, 5, 27), error=0.0123456, even=0.0234567, source="teaspec calibrate, a: b, 2026-11-28"),
    Plan(28, (0, 2, 5, 27), "line", 0.5, 0.01, 0.02),
)


@pytest.mark.parametrize("name", ["flux", "wan", "latte"])
@pytest.mark.parametrize("variant", [None, "mine"])
def test_plans_go_into_a_spec_and_come_back(name: str, variant: str | None) -> None:
    """Goes red where the limit is not written, and where a plan is added once more when it is written again."""
    before = (SPECS / f"{name}.yaml").read_text(encoding="utf-8")
    after = with_fit(before, FIT, ORIGIN, variant=variant, plans=PLANS)
    facts = load_spec(after).teacache
    written = (facts if variant is None else facts.variants[variant]).plans
    expected = [(28, (0, 1, 5, 27), "last", 1.0, 0.0123, 0.0235), (28, (0, 2, 5, 27), "line", 0.5, 0.01, 0.02)]
    assert [(p.steps, p.computed, p.forecast, p.limit, p.error, p.even) for p in written] == expected
    assert [p.source for p in written] == [PLANS[0].source, None]
    assert with_fit(after, FIT, ORIGIN, variant=variant, plans=PLANS) == after
    assert [line for line in before.splitlines() if "probe" in line] == [
        line for line in after.splitlines() if "probe" in line
    ]


def test_another_plan_stays_and_one_for_the_same_is_replaced() -> None:
    """Goes red where all plans of the spec go."""
    text = with_fit((SPECS / "flux.yaml").read_text(encoding="utf-8"), FIT, ORIGIN, plans=PLANS)
    newer = Plan(28, (0, 3, 5, 26), error=0.001, even=0.002)
    other = Plan(28, (0, 3, 5), error=0.001, even=0.002)
    found = load_spec(with_fit(text, FIT, ORIGIN, plans=[newer, other])).teacache.plans
    assert [p.computed for p in found] == [(0, 2, 5, 27), (0, 3, 5, 26), (0, 3, 5)]


def test_plans_that_are_worse_than_even_steps_are_not_written() -> None:
    """Even steps are: their forecast was found, too. Goes red where all are written, and where equal ones are not."""
    worse, same, unknown = (Plan(28, (0, 3), error=error, even=0.02) for error in (0.03, 0.02, None))
    assert Planning((*PLANS, worse, same, unknown), ()).worth_writing == (*PLANS, same, unknown)


def test_the_folder_of_specs_has_no_plans_yet() -> None:
    """The default of every shipped spec is as it was: a plan has to be found on the model itself."""
    assert [path.name for path in sorted(Path(SPECS).glob("*.yaml")) if "plans:" in path.read_text()] == []
