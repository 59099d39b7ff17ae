"""The demo at a reduced size: its figures fit together, and the pipeline it measures is cached the way it says."""

from __future__ import annotations

import io
import math
from collections import Counter
from dataclasses import replace

import matplotlib.image
import pytest
import torch
from diffusers import FluxPipeline
from rich.console import Console

from teaspec.demo import DemoSettings, run
from teaspec.demo.hook_cost import NEVER
from teaspec.demo.measure import hooked, observe, relative_error
from teaspec.demo.pipeline import build_pipeline, generate
from teaspec.demo.result import CachedRun, DemoResult, Spread
from teaspec.demo.table import render

# The demo runs once for all tests here, so one worker takes them all.
pytestmark = pytest.mark.xdist_group("demo")

SMALL = DemoSettings(
    steps=28, batch=2, side=4, text_tokens=4, double_blocks=1, single_blocks=2, heads=2, rounds=2, replays=1
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return run(tmp_path_factory.mktemp("demo") / "made" / "by-the-demo", SMALL)


@pytest.fixture
def pipeline() -> FluxPipeline:
    return build_pipeline(SMALL)


def test_higher_thresholds_reuse_more(result: DemoResult) -> None:
    assert tuple(one.threshold for one in result.runs) == SMALL.thresholds
    computed = [one.computed for one in result.runs]
    assert computed == sorted(set(computed), reverse=True)
    assert all(one.computed + one.reused == SMALL.steps and one.reused > 0 for one in result.runs)


def test_decisions_follow_the_threshold(result: DemoResult) -> None:
    for one in result.runs:
        first, *later = one.steps
        assert first.decision == "compute"
        assert all((step.decision == "compute") == (step.accumulated >= one.threshold) for step in later)


def test_decisions_repeat_on_a_new_pipeline(result: DemoResult, pipeline: FluxPipeline) -> None:
    expected = generate(pipeline, SMALL)
    for one in result.runs:
        latents, steps = observe(pipeline, SMALL, one.threshold)
        assert steps == one.steps
        assert relative_error(latents, expected) == one.error
        assert 0 < one.error < 1


def test_times_are_those_of_the_rounds(result: DemoResult) -> None:
    spreads = [result.uncached, *(one.seconds for one in result.runs), *(one.time_ratio for one in result.runs)]
    assert all(0 < spread.low <= spread.median <= spread.high for spread in spreads)
    assert {spread.count for spread in spreads} == {SMALL.rounds}
    assert result.hook_cost.ratio.count == SMALL.steps * SMALL.replays
    assert result.hook_cost.ratio.low <= result.hook_cost.hooked.median / result.hook_cost.plain.median
    assert sum(one.seconds.low for one in result.runs) + result.uncached.low < result.elapsed


def test_ideal_ratio_counts_reused_steps_at_their_price(result: DemoResult) -> None:
    one = result.runs[0]
    steps = one.steps[:4]
    computed = sum(step.decision == "compute" for step in steps)
    assert 0 < computed < 4
    cut = replace(one, steps=steps, reused_cost=0.5)
    assert cut.ideal_ratio == (computed + 0.5 * (4 - computed)) / 4
    assert all(0 < run.reused_cost < 1 for run in result.runs)


def test_spread_of_measurements() -> None:
    assert Spread.of([3.0, 1.0, 5.0, 2.0]) == Spread(median=2.5, low=1.0, high=5.0, count=4)


def test_picture_has_a_row_per_threshold(result: DemoResult) -> None:
    assert result.figure.name == "decisions.png"
    pixels = matplotlib.image.imread(result.figure)
    height, width = pixels.shape[:2]
    assert width == 1350
    assert height > 200 * len(result.runs)
    # Both colours of the decisions are there.
    for colour in ("#d9652b", "#7fb2d9"):
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        assert (abs(pixels[..., :3] - rgb).max(axis=-1) < 0.01).sum() > 1000


def text_of(result: DemoResult) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(render(result))
    return console.export_text()


def test_table_shows_each_run_and_says_that_weights_are_random(result: DemoResult) -> None:
    text = text_of(result)
    lines = [line.split() for line in text.splitlines()]
    for one in result.runs:
        row = next(line for line in lines if line[:1] == [f"{one.threshold:g}"])
        assert row[1:3] == [str(one.computed), str(one.reused)]
        assert f"{one.time_ratio.median:.3f}" in row
        assert f"{one.error:.4f}" in row
    assert "The weights are random" in text
    assert f"{result.hook_cost.ratio.median:.4f} times" in " ".join(text.split())
    assert "…" not in text


def test_table_of_a_run_that_reused_nothing(result: DemoResult) -> None:
    every = tuple(replace(step, decision="compute") for step in result.runs[0].steps)
    computed_only: CachedRun = replace(result.runs[0], steps=every, reused_cost=0.0)
    assert "No step was reused." in text_of(replace(result, runs=(computed_only,)))


def test_hook_that_reuses_nothing_changes_no_bit(pipeline: FluxPipeline) -> None:
    expected = generate(pipeline, SMALL)
    with hooked(pipeline, SMALL, NEVER) as hook:
        actual = generate(pipeline, SMALL)
    assert hook.last_generation is not None
    assert [one.decision for one in hook.last_generation.decisions] == ["compute"] * 28
    assert torch.equal(actual, expected)


def test_removed_hook_leaves_the_original_forward(pipeline: FluxPipeline) -> None:
    transformer = pipeline.transformer
    expected = generate(pipeline, SMALL)
    with hooked(pipeline, SMALL, 0.1):
        assert "forward" in vars(transformer)
        assert not torch.equal(generate(pipeline, SMALL), expected)
    assert "forward" not in vars(transformer)
    assert transformer.forward.__func__ is type(transformer).forward
    assert torch.equal(generate(pipeline, SMALL), expected)


def test_reused_step_runs_no_block_and_keeps_no_encoder_residual(pipeline: FluxPipeline) -> None:
    transformer = pipeline.transformer
    always = ("x_embedder", "time_text_embed", "norm_out", "proj_out")
    when_computed = ("context_embedder", "pos_embed")
    blocks = [*transformer.transformer_blocks, *transformer.single_transformer_blocks]
    named = {name: [transformer.get_submodule(name)] for name in (*always, *when_computed)} | {"blocks": blocks}
    ran: Counter[str] = Counter()
    for name, modules in named.items():
        for module in modules:
            module.register_forward_hook(lambda *_, name=name: ran.update([name]))

    with hooked(pipeline, SMALL, 0.06) as hook:

        def look(step: int) -> None:
            what = hook.decisions[-1].decision
            expected = dict.fromkeys(always, 1)
            if what == "compute":
                expected |= dict.fromkeys(when_computed, 1) | {"blocks": len(blocks)}
            assert ran == expected, f"step {step}: {what}"
            ran.clear()
            state = hook.state_manager.states["cond"]
            assert state.previous_residual is not None
            assert state.previous_residual_encoder is None
            assert state.previous_live == {}

        generate(pipeline, SMALL, look)
    assert hook.last_generation is not None
    assert {one.decision for one in hook.last_generation.decisions} == {"compute", "reuse"}


def test_generations_start_from_the_seed(pipeline: FluxPipeline) -> None:
    latents = generate(pipeline, SMALL)
    assert latents.shape == (2, 16, 16)
    assert torch.equal(latents, generate(build_pipeline(SMALL), SMALL))
    assert not torch.equal(latents, generate(pipeline, replace(SMALL, seed=1)))
    # The random model moves the latents: they are not the noise they started from.
    assert math.isfinite(latents.std())
    assert relative_error(latents, generate(build_pipeline(replace(SMALL, seed=5)), SMALL)) > 0.01
