"""The demo at a reduced size: its figures fit together, and the pipeline it measures is cached the way it says."""

from __future__ import annotations

import io
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

import matplotlib.image
import pytest
import torch
from rich.console import Console

from teaspec.demo import VIDEOS, DemoSettings, Setting, run
from teaspec.demo.digits.pixels import to_images, to_latents
from teaspec.demo.hook_cost import NEVER
from teaspec.demo.measure import observe
from teaspec.demo.models import MODELS
from teaspec.demo.result import Comparison, DemoResult
from teaspec.demo.settings import RECOMMENDED, VIDEO_RECOMMENDED
from teaspec.demo.sheet import strip
from teaspec.demo.subject import Subject
from teaspec.demo.table import render
from teaspec.pictures.nearness import psnr
from teaspec.spread import Spread

# The demo runs once for all tests here, so one worker takes them all.
pytestmark = pytest.mark.xdist_group("demo")

SMALL = {
    "digits": DemoSettings(
        cached=(Setting(0.1, 0), Setting(RECOMMENDED, 0), Setting(RECOMMENDED, 1)), count=10, rounds=1
    ),
    "videos": replace(
        VIDEOS,
        cached=(Setting(0.15, 0), Setting(VIDEO_RECOMMENDED, 0), Setting(VIDEO_RECOMMENDED, 1)),
        count=3,
        rounds=1,
    ),
}


RECOGNISED = {"digits": 0.9, "videos": 0.66}
"""The least share that is recognised of what each model makes, without guidance (docs/videos.md)."""


@pytest.fixture(scope="module", params=["digits", pytest.param("videos", marks=pytest.mark.thorough)])
def small(request: pytest.FixtureRequest) -> DemoSettings:
    return SMALL[request.param]


@pytest.fixture(scope="module")
def result(small: DemoSettings, tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return run(tmp_path_factory.mktemp("demo") / "made" / "by-the-demo", small)


@pytest.fixture(scope="module")
def subject(small: DemoSettings) -> Subject:
    return Subject.make(small)


@pytest.fixture(scope="module")
def uncached(subject: Subject) -> torch.Tensor:
    return subject.generate(guidance=1.0)


@pytest.mark.parametrize("name", list(MODELS))
def test_the_files_are_small_enough_to_ship(name: str) -> None:
    files = [path for path in MODELS[name].folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 10e6
    assert {path.suffix for path in files} == {".safetensors", ".json"}


def test_cached_results_are_recognised_like_uncached_ones(result: DemoResult, subject: Subject) -> None:
    unguided, guided = result.comparisons
    assert guided.uncached.accuracy >= RECOGNISED[result.settings.model]
    one_more = 1.5 / result.settings.count
    for comparison in (unguided, guided):
        for one in comparison.cached:
            assert abs(one.accuracy - comparison.uncached.accuracy) <= one_more
            assert one.accuracy == subject.model.recognised(one.made)


@pytest.mark.parametrize(("name", "count"), [("digits", 60), pytest.param("videos", 40, marks=pytest.mark.thorough)])
def test_what_was_asked_for_is_recognised_without_guidance(name: Literal["digits", "videos"], count: int) -> None:
    subject = Subject.make(DemoSettings(model=name, count=count, seed=3))
    assert subject.model.recognised(subject.generate(guidance=1.0)) >= RECOGNISED[name]


@pytest.mark.thorough
@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize(
    ("name", "count", "threshold"), [("digits", 200, RECOMMENDED), ("videos", 160, VIDEO_RECOMMENDED)]
)
def test_caching_costs_two_points_of_recognition_at_most(
    name: Literal["digits", "videos"], count: int, threshold: float, guidance: float
) -> None:
    subject = Subject.make(DemoSettings(model=name, count=count, seed=3))
    plain = subject.model.recognised(subject.generate(guidance))
    assert plain >= RECOGNISED[name]
    for order in (0, 1):
        cached = observe(subject, guidance, Setting(threshold, order)).made  # type: ignore[arg-type]
        assert plain - subject.model.recognised(cached) <= 0.02


def test_the_recommended_threshold_computes_less_and_the_line_is_nearer(result: DemoResult) -> None:
    for comparison in result.comparisons:
        least, order_0, order_1 = comparison.cached
        assert order_0.calls / order_0.computed >= 1.8
        assert least.computed > order_0.computed
        assert abs(order_1.computed - order_0.computed) <= 2
        assert order_1.psnr > order_0.psnr + 3
        assert {len(steps) for one in comparison.cached for steps in one.branches.values()} == {result.settings.steps}
    branches = [[list(one.branches) for one in comparison.cached] for comparison in result.comparisons]
    assert branches == [[["cond"]] * 3, [["cond", "uncond"]] * 3]


def test_decisions_follow_the_threshold(result: DemoResult) -> None:
    for one in (one for comparison in result.comparisons for one in comparison.cached):
        for first, *later, last in one.branches.values():
            assert (first.reason, last.reason) == ("first call", "last step")
            assert all((step.decision == "compute") == (step.accumulated >= one.setting.threshold) for step in later)


def test_images_and_decisions_repeat(result: DemoResult, subject: Subject, uncached: torch.Tensor) -> None:
    comparison = result.comparisons[0]
    assert torch.equal(comparison.uncached.made, uncached)
    for one in comparison.cached:
        observed = observe(subject, 1.0, one.setting)
        assert observed.branches == one.branches
        assert torch.equal(observed.made, one.made)
        assert one.psnr == psnr(one.made, uncached)


def test_times_are_those_of_the_rounds(result: DemoResult) -> None:
    spreads = [comparison.uncached.seconds for comparison in result.comparisons]
    spreads += [spread for one in result.comparisons for two in one.cached for spread in (two.seconds, two.time_ratio)]
    assert all(0 < spread.low <= spread.median <= spread.high for spread in spreads)
    assert {spread.count for spread in spreads} == {result.settings.rounds}
    assert result.hook_cost.ratio.count == result.settings.steps * result.settings.replays


def test_operations_are_those_of_computed_and_reused_calls(result: DemoResult) -> None:
    assert 0 < result.flops.reused < 0.05 * result.flops.full
    for one in (one for comparison in result.comparisons for one in comparison.cached):
        share = one.computed / one.calls
        assert share < one.flop_ratio < share + 0.05


def test_spread_of_measurements() -> None:
    assert Spread.of([3.0, 1.0, 5.0, 2.0]) == Spread(median=2.5, low=1.0, high=5.0, count=4)


def test_psnr_of_images() -> None:
    blank = torch.zeros(2, 16, 16)
    assert psnr(blank, blank) == math.inf
    assert psnr(blank + 0.1, blank) == pytest.approx(20, abs=1e-4)
    assert psnr(blank + torch.tensor([0.1, 0.01])[:, None, None], blank) == pytest.approx(30, abs=1e-4)


def test_the_decisions_have_a_row_per_setting(result: DemoResult) -> None:
    assert result.figure.name == f"{result.settings.model}-decisions.png"
    pixels = matplotlib.image.imread(result.figure)
    for colour in ("#d9652b", "#7fb2d9"):  # both kinds of decisions
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        assert (abs(pixels[..., :3] - rgb).max(axis=-1) < 0.01).sum() > 1000


def test_the_sheet_shows_what_was_made(result: DemoResult) -> None:
    assert result.sheet.name == f"{result.settings.model}.png"
    pixels = matplotlib.image.imread(result.sheet)[..., :3]
    assert ((pixels < 0.3).all(axis=-1)).sum() > 10_000  # ink


def test_a_row_of_the_sheet_holds_images_or_the_frames_of_videos() -> None:
    """Mutation seen red: the frames of a video laid out in the order of the videos."""
    images = torch.rand(3, 4, 5)
    assert strip(images).shape == (4, 3 * 7)
    assert torch.equal(strip(images)[:, 7:12], images[1])
    videos = torch.rand(9, 2, 4, 5)
    row = strip(videos)
    assert row.shape == (4, 3 * (2 * 7 + 2))
    assert torch.equal(row[:, 7:12], videos[1, 1])
    assert torch.equal(row[:, 16:21], videos[4, 0])


def text_of(result: DemoResult) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(render(result))
    return console.export_text()


def test_the_table_shows_each_run(result: DemoResult) -> None:
    text = text_of(result)
    rows = [line.split() for line in text.splitlines()]
    for one in (one for comparison in result.comparisons for one in comparison.cached):
        key = [f"{one.setting.threshold:g}", str(one.setting.order), str(one.computed)]
        row = next(row for row in rows if row[:3] == key and f"{one.psnr:.1f}" in row)
        assert f"{one.time_ratio.median:.3f}" in row
        assert f"{one.accuracy:.1%}" in row
    assert f"{result.hook_cost.ratio.median:.4f} times" in " ".join(text.split())
    assert "…" not in text


def test_a_table_where_nothing_differs(result: DemoResult) -> None:
    first, *others = result.comparisons
    equal = Comparison(first.uncached, tuple(replace(one, psnr=math.inf) for one in first.cached))
    assert " inf" in text_of(replace(result, comparisons=(equal, *others)))


def test_a_hook_that_reuses_nothing_changes_no_bit(subject: Subject, uncached: torch.Tensor) -> None:
    observed = observe(subject, 1.0, Setting(NEVER, 0))
    assert [one.decision for one in observed.branches["cond"]] == ["compute"] * subject.settings.steps
    assert torch.equal(observed.made, uncached)


def test_a_removed_hook_leaves_the_original_forward(subject: Subject) -> None:
    transformer = subject.model.transformer
    with subject.hooked(Setting(RECOMMENDED, 1)):
        assert "forward" in vars(transformer)
    assert "forward" not in vars(transformer)
    assert transformer.forward.__func__ is type(transformer).forward


ALWAYS = {
    "digits": ("x_embedder", "time_text_embed", "norm_out", "proj_out"),
    "videos": ("patch_embedding", "condition_embedder", "norm_out", "proj_out"),
}
WHEN_COMPUTED = {"digits": ("context_embedder", "pos_embed"), "videos": ("rope",)}
BLOCKS = {"digits": ("transformer_blocks", "single_transformer_blocks"), "videos": ("blocks",)}


def test_a_reused_step_runs_no_block_and_keeps_no_encoder_residual(small: DemoSettings) -> None:
    subject = Subject.make(replace(small, count=1))
    transformer = subject.model.transformer
    always, when_computed = ALWAYS[small.model], WHEN_COMPUTED[small.model]
    blocks = [block for name in BLOCKS[small.model] for block in transformer.get_submodule(name)]
    named = {name: [transformer.get_submodule(name)] for name in (*always, *when_computed)} | {"blocks": blocks}
    ran: Counter[str] = Counter()
    for name, modules in named.items():
        for module in modules:
            module.register_forward_hook(lambda *_, name=name: ran.update([name]))
    seen = []
    with subject.hooked(small.cached[1]) as hook:

        def look(_module: object, decision: object) -> None:
            seen.append((hook.decisions[-1].decision, dict(ran)))
            ran.clear()
            state = hook.state_manager.states["cond"]
            assert state.previous_residual is not None
            assert state.previous_residual_encoder is None
            assert state.previous_live == {}

        hook.config.on_decision = look
        subject.generate(guidance=1.0)
    for what, modules_that_ran in seen:
        expected = dict.fromkeys(always, 1)
        if what == "compute":
            expected |= dict.fromkeys(when_computed, 1) | {"blocks": len(blocks)}
        assert modules_that_ran == expected
    assert {what for what, _ in seen} == {"compute", "reuse"}
    assert len(seen) == small.steps


def test_pixels_survive_the_way_through_latents() -> None:
    images = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    latents = to_latents(images)
    assert latents.shape == (3, 16, 16)
    torch.testing.assert_close(to_images(latents), images)


def test_the_model_comes_back_as_it_was_saved(subject: Subject, tmp_path: Path, uncached: torch.Tensor) -> None:
    model = subject.model
    model.save(tmp_path)
    again = type(model).load(tmp_path)
    for name, weight in again.transformer.state_dict().items():
        assert torch.equal(weight, model.transformer.state_dict()[name])  # they were in half precision before
    assert again.recognised(uncached) == model.recognised(uncached)
    for name, prompts in vars(again.prompts).items():
        assert torch.equal(prompts, vars(model.prompts)[name])
