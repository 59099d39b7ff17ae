"""The rule that is given a relative error: what it measures, what it expects, what it spends."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import teaspec
from teaspec import TeaCacheConfig, Tolerance
from teaspec.runtime.rules.change import Change
from teaspec.runtime.rules.steps import Place
from teaspec.runtime.rules.tolerance import Judged
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
            expected = (residual - before).abs().mean() / moving.values[computed].abs().mean()
            assert one.numbers["error"] == pytest.approx(expected.item(), rel=1e-4)
            seen += 1
        computed += one.decision == "compute"
    assert seen > 3


def test_what_is_spent_adds_up_to_no_more_than_is_accepted() -> None:
    """The sums are made here once more, from the numbers that the rule tells. Goes red where nothing is added up."""
    hook, _ = generate(tolerance=0.05)
    spent, computed = 0.0, [0]
    for index, one in enumerate(hook.decisions):
        if one.decision == "reuse":
            spent += one.numbers["growth"] * (index - computed[-1]) / STEPS / STEPS
            assert one.numbers["spent"] == pytest.approx(spent)
            assert spent <= 0.05 * (index + 1) / STEPS
        else:
            computed.append(index)
    assert 0.05 / 3 < spent <= 0.05


def test_who_accepts_more_gets_fewer_computed_steps() -> None:
    counts = [choices(generate(tolerance=value)[0]).count("compute") for value in (0.001, 0.01, 0.05, 0.2, 10.0)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (STEPS, 3)  # two to know anything, and the last one
    assert counts[1] > counts[3]


def test_nothing_is_reused_before_the_error_is_known() -> None:
    hook, _ = generate(tolerance=10.0)
    assert reasons(hook)[:3] == ["first call", "error not known yet", "error"]


def test_a_better_forecast_computes_less() -> None:
    last, line = (choices(generate(tolerance=0.02, forecast=kind)[0]).count("compute") for kind in ("last", "line"))
    assert line < last


def test_an_error_that_is_not_finite_computes() -> None:
    place = Place(5, 5, 10, 0)
    verdict = Tolerance(0.1).decide((math.nan,), place, Judged(0.4, error=_change(), gap=0.1))
    assert (verdict.choice, verdict.reason) == ("compute", "non-finite distance")


def _change() -> Change:
    return Change(torch.tensor(1.0), torch.tensor(2.0), 4)


def test_a_branch_that_went_along_with_others_is_overdue_where_it_spent_too_much() -> None:
    rule = Tolerance(0.1)
    assert rule.is_overdue(Judged(0.4, spent=0.3, allowed=0.2))
    assert not rule.is_overdue(Judged(0.4, spent=0.1, allowed=0.2))


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
