"""What a tolerance comes to is measured on some prompts and judged by others."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import teaspec
from teaspec.calibrate.choosing import Added
from teaspec.calibrate.gain import ROUNDS, Weighing, find_gain
from teaspec.calibrate.trials import Outcome, Trials
from teaspec.calibrate.write import with_fit
from teaspec.catalog import SpecExtractor
from teaspec.cli import app
from teaspec.compiler import load_spec
from teaspec.runtime.calibrations.gains import Gain
from teaspec.runtime.rules.tolerance import Tolerance
from tests.calibrate.prompted import Prompted
from tests.calibrate.test_command import FIT, ORIGIN
from tests.calibrate.test_plans import STEPS, make
from tests.runtime.denoising import SPECS

LINE = Added("line", 0.5)


class Known(Trials):
    """Trials whose errors are known: a share of the tolerance over the gain, and more on what was not seen."""

    def __init__(self, law: Any) -> None:
        super().__init__(None, lambda _: None)
        self.law = law
        self.asked: list[tuple[Tolerance, tuple[int, ...]]] = []

    def of(self, settings: dict[str, Any], numbers: Any) -> Outcome:
        rule = settings["rule"]
        self.asked.append((rule, tuple(numbers)))
        assert (settings["forecast"], settings["residual_limit"]) == LINE
        return Outcome((self.law(rule.tolerance / rule.gain) * (2 if 9 in numbers else 1),), 4)


def test_a_gain_makes_a_tolerance_mean_what_it_says() -> None:
    """Errors are 0.3 times what is expected. Goes red where the held out are seen, and where the ratio is inverted."""
    trials = Known(lambda expected: 0.3 * expected)
    found = find_gain(trials, Weighing([0.01, 0.05], LINE, [0, 1], [9]), "a test")
    assert found.gain == Gain(0.3, "line", 0.5, "a test")
    assert [(one.tolerance, one.without, one.error) for one in found.met] == [
        (0.01, pytest.approx(0.006), pytest.approx(0.02)),
        (0.05, pytest.approx(0.03), pytest.approx(0.1)),
    ]
    assert {rule.power for rule, _ in trials.asked} == {2.0}


def test_where_errors_grow_otherwise_than_expected_it_is_measured_anew() -> None:
    """With the root of what is expected a first gain is not enough. Goes red with one round in place of all."""
    trials = Known(lambda expected: 0.3 * math.sqrt(expected))
    found = find_gain(trials, Weighing([0.01], LINE, [0], [1]))
    assert found.met[0].error == pytest.approx(0.01, rel=0.2)
    assert len({rule.gain for rule, numbers in trials.asked if numbers == (0,)}) <= ROUNDS


def test_the_gain_is_in_the_middle_of_what_tolerances_ask_for() -> None:
    """Too careful at one end is as far off as too loose at the other. Goes red where it is the mean of all."""
    trials = Known(lambda expected: 0.1 * math.sqrt(expected))
    weighing = Weighing([0.01, 0.02, 0.03, 0.64], LINE, [0], [1])
    ratios = [one.error / one.tolerance for one in find_gain(trials, weighing).met]
    assert max(ratios) * min(ratios) == pytest.approx(1, rel=0.3)
    assert max(ratios) > 2 > 0.5 > min(ratios)


def test_where_nothing_is_reused_there_is_no_gain() -> None:
    """Goes red where rounding counts as an error: the gain would be next to nothing."""
    with pytest.raises(ValueError, match=r"nothing was reused at a tolerance of 0\.001 with a gain of 1: give larger"):
        find_gain(Known(lambda _: 0.0), Weighing([0.001], LINE, [0], [1]))
    found = find_gain(Known(lambda one: one if one > 0.005 else 0.0), Weighing([0.001, 0.01], LINE, [0], [1]))
    assert found.gain.gain == 1


def test_it_is_measured_on_a_pipeline() -> None:
    """By hand: what `enable` makes with the gain. Goes red where `met` is about generations that were seen."""
    pipeline = Prompted()
    ran: list[int] = []

    def run(number: int) -> torch.Tensor:
        ran.append(number)
        return make(pipeline, number)

    weighing = Weighing([0.05, 0.2], LINE, [0, 1], [2])
    found = find_gain(Trials(pipeline, run, steps=STEPS), weighing)
    assert len(ran) <= weighing.generations
    expected = make(pipeline, 2)
    for one in found.met:
        for gain, error in ((1.0, one.without), (found.gain.gain, one.error)):
            rule = Tolerance(one.tolerance, 2.0, gain)
            with teaspec.enabled(pipeline, rule=rule, num_inference_steps=STEPS, **LINE.settings):
                made = make(pipeline, 2)
            assert error == pytest.approx(max(1e-9, float((made - expected).norm() / expected.norm())), rel=1e-4)


@pytest.mark.parametrize("variant", [None, "mine"])
def test_it_goes_into_a_spec_and_to_the_rule(variant: str | None) -> None:
    """Goes red where the limit is not written, and where `_plain` leaves it out."""
    before = (SPECS / "flux.yaml").read_text(encoding="utf-8")
    gain = Gain(0.47, "line", 0.5, "teaspec calibrate, a: b, 2026-11-28")
    after = with_fit(before, FIT, ORIGIN, variant=variant, gain=gain)
    assert with_fit(after, FIT, ORIGIN, variant=variant, gain=gain) == after
    assert with_fit(after, FIT, ORIGIN, variant=variant) == after  # what is not measured anew stays
    defaults = SpecExtractor(SPECS / "flux.yaml", load_spec(after)).defaults
    assert {name: one.tolerance for name, one in defaults.named().items() if one.tolerance} == {variant or "base": gain}


def test_what_is_known_of_a_class_tells_it(tmp_path: Path) -> None:
    """Goes red where `details` leaves it out, or the forecast that it goes with."""
    gain = Gain(0.47, "line", 0.5, "teaspec calibrate, a: b, 2026-11-28")
    path = tmp_path / "flux.yaml"
    text = with_fit((SPECS / "flux.yaml").read_text(encoding="utf-8"), FIT, ORIGIN, gain=gain)
    path.write_text(text, encoding="utf-8")
    shown = " ".join(CliRunner().invoke(app, ["list", str(path)]).output.split())
    told = "gain 0.47, with forecast='line', residual_limit=0.5 (teaspec calibrate, a: b, 2026-11-28)"
    assert f"tolerance {told}" in shown
    found = json.loads(CliRunner().invoke(app, ["list", str(path), "--format", "json"]).output)
    assert vars(gain) in [one["tolerance"] for one in found["sets"].values()]
