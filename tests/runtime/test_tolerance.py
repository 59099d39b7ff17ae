"""The rule that is given a relative error: what it measures, what it expects, what it spends."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

import teaspec
from teaspec import TeaCacheConfig, Tolerance
from teaspec.runtime.calibrations.calibration import Calibration
from teaspec.runtime.calibrations.gains import Gain
from teaspec.runtime.rules.forecast import forecast_of
from teaspec.runtime.rules.missed import Missed
from teaspec.runtime.rules.steps import Place
from teaspec.runtime.rules.tolerance import Judged, Known
from teaspec.runtime.settings.asked import Wish
from teaspec.runtime.settings.ruling import Ruling
from tests.runtime.denoising import Denoiser
from tests.runtime.driving import choices, hooked, latents, reasons, signal
from tests.runtime.models import extract_single

STEPS = 24


class Moving:
    """An extractor whose blocks return what moves on a curve in time, and which remembers it."""

    def __init__(self) -> None:
        self.time = 0.0
        self.residuals: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []

    def __call__(self, module: Any, *args: Any) -> Any:
        context: Any = extract_single(module, *args)
        entry = context.hidden_states
        shape = torch.linspace(0.5, 1.5, entry.numel()).reshape(entry.shape)

        def run() -> tuple[torch.Tensor, ...]:
            residual = shape * math.exp(self.time) + torch.sin(7 * self.time * shape)
            self.residuals.append(residual)
            self.values.append(entry + residual)
            return (entry + residual,)

        context.run_transformer_blocks = run
        return context


def generate(**settings: Any) -> tuple[Any, Moving]:
    torch.manual_seed(0)
    moving = Moving()
    module, hook = hooked(extractor=moving, num_inference_steps=STEPS, **settings)
    with torch.no_grad():
        for index in range(STEPS):
            moving.time = index / STEPS
            module(latents(), signal(1.0), float(STEPS - index))
    return hook, moving


def test_the_error_is_that_of_the_forecast_at_the_last_computed_step() -> None:
    """Goes red where it is taken relative to the residual, or one computed step late."""
    hook, moving = generate(tolerance=0.02)
    computed = -1
    seen = 0
    for one in hook.decisions:
        if "error" in one.numbers:
            residual, before = moving.residuals[computed], moving.residuals[computed - 1]
            expected = (residual - before).norm() / moving.values[computed].norm()
            assert one.numbers["error"] == pytest.approx(expected.item(), rel=1e-4)
            seen += 1
        computed += one.decision == "compute"
    assert seen > 3


def test_errors_add_up_as_vectors_to_no_more_than_is_accepted() -> None:
    """The vectors are added up here once more, in doubles, from what the blocks returned.

    Goes red where lengths are added in place of vectors, where a run of reused steps is not told what it was off by,
    and where the distance is that to the step before.
    """
    hook, moving = generate(tolerance=0.05)
    residuals, values = [r.double() for r in moving.residuals], [v.double() for v in moving.values]
    offset = torch.zeros_like(residuals[0])
    at, run, gap, number, seen = 0.0, 0.0, 0.0, 0, 0
    off = torch.zeros_like(offset)
    for index, one in enumerate(hook.decisions):
        way = index / STEPS
        if one.decision == "reuse":
            run += (way - at) / STEPS
            size = values[number].norm()
            expected = ((offset + run / gap * off).norm() / size).item()
            assert one.numbers["offset"] == pytest.approx((offset.norm() / size).item(), rel=1e-3, abs=1e-7)
            assert one.numbers["expected"] == pytest.approx(expected, rel=1e-3)
            assert expected <= 0.05 * (index + 1) / STEPS
            seen += one.numbers["offset"] > 0
        elif index:
            number, gap = number + 1, way - at
            off = residuals[number] - residuals[number - 1]
            offset = offset + run / gap * off
            at, run = way, 0.0
    assert seen > 3
    assert 0.05 / 3 < (offset.norm() / values[-1].norm()).item() < 0.05 * 2


def test_a_gain_is_what_the_tolerance_is_divided_by() -> None:
    """The same steps, and what is expected times the gain. Goes red where `gain` is left out of `decide`."""
    half, _ = generate(rule=Tolerance(0.02, 2.0, 0.5), forecast="line")
    double, _ = generate(rule=Tolerance(0.04, 2.0), forecast="line")
    assert choices(half) == choices(double) and "reuse" in choices(half)
    pairs = zip(half.decisions, double.decisions, strict=True)
    for one, other in ((a.numbers, b.numbers) for a, b in pairs if "expected" in a.numbers):
        assert one["expected"] == pytest.approx(0.5 * other["expected"])
        assert one["allowed"] == pytest.approx(0.5 * other["allowed"])
    assert str(Tolerance(0.02, 2.0, 0.5)) == "tolerance 0.02, gain 0.5"
    assert str(Tolerance(0.02, 2.0, 0.5, forecast_of("line", 0.5))) == "tolerance 0.02, gain 0.5 with line, limit 0.5"
    with pytest.raises(ValueError, match="gain must be a finite number above 0, found 0"):
        Tolerance(0.02, gain=0)


def test_a_gain_goes_with_the_forecast_that_it_was_measured_with() -> None:
    """Goes red where a gain is taken beside another forecast, and where `power` stays that of the settings."""
    line = forecast_of("line", 0.5)
    ruling = Ruling(Calibration(tolerance=Gain(0.5, "line", 0.5)))
    measured = Tolerance(0.02, line.power, 0.5, line)
    assert ruling.of(TeaCacheConfig(tolerance=0.02)) == measured
    assert ruling.of(TeaCacheConfig(tolerance=0.02), Wish(tolerance=0.05)) == replace(measured, tolerance=0.05)
    assert ruling.of(TeaCacheConfig(tolerance=0.02, forecast="line", residual_limit=0.5)) == measured
    for other in ({"forecast": "last"}, {"forecast": "line"}, {"forecast": "blend", "residual_limit": 0.5}):
        config = TeaCacheConfig(tolerance=0.02, **other)
        assert ruling.of(config) == Tolerance(0.02, config.forecaster.power)
    assert Ruling(Calibration()).of(TeaCacheConfig(tolerance=0.02)) == Tolerance(0.02)


def test_reused_steps_add_what_the_gain_was_measured_with() -> None:
    """The oracle says it in the settings. Goes red where `forecast` of the rule returns nothing."""
    line = forecast_of("line", 0.5)
    found, _ = generate(rule=Tolerance(0.02, 2.0, 0.5, line))
    said, _ = generate(rule=Tolerance(0.02, 2.0, 0.5), forecast="line", residual_limit=0.5)
    assert choices(found) == choices(said)
    assert [one.numbers for one in found.decisions] == [one.numbers for one in said.decisions]
    plain, _ = generate(rule=Tolerance(0.02, 2.0, 0.5))
    assert [one.numbers for one in plain.decisions] != [one.numbers for one in found.decisions]


def test_who_accepts_more_gets_fewer_computed_steps() -> None:
    counts = [choices(generate(tolerance=value)[0]).count("compute") for value in (0.001, 0.01, 0.05, 0.2, 10.0)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (STEPS, 3)  # two to know anything, and the last one
    assert counts[1] > counts[3]


def test_nothing_is_reused_before_the_error_is_known() -> None:
    hook, _ = generate(tolerance=10.0)
    assert reasons(hook)[:3] == ["first call", "error not known yet", "error"]


def test_a_better_forecast_computes_less() -> None:
    def computed(kind: str) -> int:
        return sum(
            choices(generate(tolerance=value, forecast=kind)[0]).count("compute") for value in (0.005, 0.01, 0.05)
        )

    assert computed("line") < computed("last")


@pytest.mark.parametrize(("power", "allowed"), [(1.0, 0.025), (2.0, 0.05), (3.0, 0.05)])
def test_what_may_have_added_up_grows_as_errors_do(power: float, allowed: float) -> None:
    """A quarter of the way is done: a quarter of the tolerance, or half of it. Red where both grow alike."""
    memory = Judged(0.0, gap=0.1, known=Known(0.01, 0.0, 0.0))
    verdict = Tolerance(0.1, power).decide((), Place(2, 2, 12, 0), memory)
    assert verdict.numbers["allowed"] == pytest.approx(allowed)


@pytest.mark.parametrize("numbers", [(math.nan, 0.0, 0.0), (0.1, math.inf, 0.0), (0.1, 0.1, math.nan)])
def test_an_error_that_is_not_finite_computes(numbers: tuple[float, ...]) -> None:
    """Red where the error alone is looked at."""
    place = Place(5, 5, 10, 0)
    verdict = Tolerance(0.1).decide(numbers, place, Judged(0.4, gap=0.1, sums=(torch.tensor(1.0),) * 4))
    assert (verdict.choice, verdict.reason) == ("compute", "non-finite distance")


def test_a_branch_that_went_along_with_others_is_overdue_where_too_much_adds_up() -> None:
    rule = Tolerance(0.1)
    assert rule.is_overdue(Judged(0.4, expected=0.3, allowed=0.2))
    assert not rule.is_overdue(Judged(0.4, expected=0.1, allowed=0.2))


def test_errors_in_opposite_directions_take_each_other_back() -> None:
    """Red where the offset's direction is lost: it would only grow."""
    rule, off = Tolerance(0.1), {"hidden_states": torch.tensor([3.0, 4.0])}
    values = {"hidden_states": torch.tensor([0.0, 10.0])}
    memory = Judged(0.2, gap=0.1, ended=0.02)
    first = rule.learn(Missed(off, values), memory)
    assert rule.numbers(first.sums) == pytest.approx((0.5, 0.1, 0.05))
    back = {"hidden_states": -off["hidden_states"]}
    second = rule.learn(Missed(back, values), memory._replace(offset=first.offset))
    assert rule.numbers(second.sums) == pytest.approx((0.5, 0.0, 0.0), abs=1e-6)


def test_a_stream_of_another_shape_begins_anew() -> None:
    """Red where what was added up is kept: two shapes cannot be added."""
    rule = Tolerance(0.1)
    short, long = ({"hidden_states": torch.ones(size)} for size in (2, 3))
    first = rule.learn(Missed(short, short), Judged(0.2, gap=0.1, ended=0.02))
    second = rule.learn(Missed(long, long), Judged(0.3, gap=0.1, ended=0.05, offset=first.offset))
    assert torch.equal(second.offset["hidden_states"], torch.full((3,), 0.5))


def test_where_nobody_knows_the_number_of_steps_it_says_so() -> None:
    module, _ = hooked(tolerance=0.05)
    with pytest.raises(ValueError, match=r"tolerance=0\.05 needs the number of steps"):
        module(latents(), signal(1.0), 9.0)


@pytest.mark.parametrize("value", [0, -0.1, math.inf, math.nan, "0.1", True])
def test_what_is_no_tolerance_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="tolerance must be a finite number above 0, found"):
        TeaCacheConfig(tolerance=value)


def test_it_is_one_of_the_settings_that_say_what_decides() -> None:
    with pytest.raises(ValueError, match=r"budget=4 and tolerance=0\.1 each say what decides"):
        TeaCacheConfig(budget=4, tolerance=0.1)
    denoiser = Denoiser.make("flux", budget=2, forecast="line")
    with teaspec.session("a", tolerance=0.1):
        assert denoiser.hook.rule == Tolerance(0.1, power=2.0)


def test_both_branches_of_a_compiled_transformer() -> None:
    denoiser = Denoiser.make("flux", tolerance=1e-9)
    denoiser.generate(1, "step")
    assert set(choices(denoiser.hook)) == {"compute"}
    found = [one.numbers["error"] for one in denoiser.hook.decisions if "error" in one.numbers]
    assert len(found) == 2  # two branches of four steps: two to know anything, and the last one is forced
    assert all(0 < error < 1 for error in found)
