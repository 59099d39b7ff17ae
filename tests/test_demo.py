"""The demo at a reduced size: its figures fit together, and the pipeline it measures is cached the way it says."""

from __future__ import annotations

import io
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import pytest
import torch
from rich.console import Console

from teaspec.demo import DemoSettings, Setting, run
from teaspec.demo.digits import FOLDER
from teaspec.demo.digits.classifier import accuracy
from teaspec.demo.digits.files import load, save
from teaspec.demo.digits.pixels import to_images, to_latents
from teaspec.demo.hook_cost import NEVER
from teaspec.demo.measure import observe
from teaspec.demo.result import Comparison, DemoResult
from teaspec.demo.settings import RECOMMENDED
from teaspec.demo.sheet import strip
from teaspec.demo.subject import Subject
from teaspec.demo.table import render
from teaspec.pictures.nearness import psnr
from teaspec.spread import Spread

# The demo runs once for all tests here, so one worker takes them all.
pytestmark = pytest.mark.xdist_group("demo")

SMALL = DemoSettings(cached=(Setting(0.1, 0), Setting(RECOMMENDED, 0), Setting(RECOMMENDED, 1)), images=10, rounds=1)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return run(tmp_path_factory.mktemp("demo") / "made" / "by-the-demo", SMALL)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject.make(SMALL)


@pytest.fixture(scope="module")
def uncached(subject: Subject) -> torch.Tensor:
    return subject.generate(guidance=1.0)


def test_the_files_are_small_enough_to_ship() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 10e6
    assert {path.suffix for path in files} == {".safetensors", ".json"}


def test_cached_digits_are_read_like_uncached_ones(result: DemoResult) -> None:
    unguided, guided = result.comparisons
    assert guided.uncached.accuracy == 1
    for comparison in (unguided, guided):
        for one in comparison.cached:
            assert abs(one.accuracy - comparison.uncached.accuracy) <= 0.15  # one image of ten
            assert one.accuracy == accuracy(Subject.make(SMALL).model.classifier, one.images, torch.arange(10))


def test_nine_of_ten_digits_are_recognised_without_guidance() -> None:
    subject = Subject.make(DemoSettings(images=60, seed=3))
    assert accuracy(subject.model.classifier, subject.generate(guidance=1.0), subject.digits) >= 0.9


@pytest.mark.thorough
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_nine_of_ten_digits_are_recognised_and_caching_costs_two_points_at_most(guidance: float) -> None:
    subject = Subject.make(DemoSettings(images=200, seed=3))
    plain = accuracy(subject.model.classifier, subject.generate(guidance), subject.digits)
    assert plain >= 0.9
    for order in (0, 1):
        cached = observe(subject, guidance, Setting(RECOMMENDED, order)).images  # type: ignore[arg-type]
        assert abs(accuracy(subject.model.classifier, cached, subject.digits) - plain) <= 0.02


def test_the_recommended_threshold_computes_less_and_the_line_is_nearer(result: DemoResult) -> None:
    for comparison in result.comparisons:
        least, order_0, order_1 = comparison.cached
        assert order_0.calls / order_0.computed >= 1.8
        assert least.computed > order_0.computed
        assert abs(order_1.computed - order_0.computed) <= 2
        assert order_1.psnr > order_0.psnr + 3
        assert {len(steps) for one in comparison.cached for steps in one.branches.values()} == {SMALL.steps}
    branches = [[list(one.branches) for one in comparison.cached] for comparison in result.comparisons]
    assert branches == [[["cond"]] * 3, [["cond", "uncond"]] * 3]


def test_decisions_follow_the_threshold(result: DemoResult) -> None:
    for one in (one for comparison in result.comparisons for one in comparison.cached):
        for first, *later, last in one.branches.values():
            assert (first.reason, last.reason) == ("first call", "last step")
            assert all((step.decision == "compute") == (step.accumulated >= one.setting.threshold) for step in later)


def test_images_and_decisions_repeat(result: DemoResult, subject: Subject, uncached: torch.Tensor) -> None:
    comparison = result.comparisons[0]
    assert torch.equal(comparison.uncached.images, uncached)
    for one in comparison.cached:
        observed = observe(subject, 1.0, one.setting)
        assert observed.branches == one.branches
        assert torch.equal(observed.images, one.images)
        assert one.psnr == psnr(one.images, uncached)


def test_times_are_those_of_the_rounds(result: DemoResult) -> None:
    spreads = [comparison.uncached.seconds for comparison in result.comparisons]
    spreads += [spread for one in result.comparisons for two in one.cached for spread in (two.seconds, two.time_ratio)]
    assert all(0 < spread.low <= spread.median <= spread.high for spread in spreads)
    assert {spread.count for spread in spreads} == {SMALL.rounds}
    assert result.hook_cost.ratio.count == SMALL.steps * SMALL.replays


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
    assert result.figure.name == "decisions.png"
    pixels = matplotlib.image.imread(result.figure)
    for colour in ("#d9652b", "#7fb2d9"):  # both kinds of decisions
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        assert (abs(pixels[..., :3] - rgb).max(axis=-1) < 0.01).sum() > 1000


def test_the_sheet_shows_the_digits(result: DemoResult, uncached: torch.Tensor) -> None:
    assert result.sheet.name == "digits.png"
    pixels = matplotlib.image.imread(result.sheet)[..., :3]
    assert ((pixels < 0.3).all(axis=-1)).sum() > 10_000  # ink
    laid_out = strip(uncached)
    assert laid_out.shape == (16, 10 * 18)
    assert torch.equal(laid_out[:, 18:34], uncached[1])


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
    assert [one.decision for one in observed.branches["cond"]] == ["compute"] * SMALL.steps
    assert torch.equal(observed.images, uncached)


def test_a_removed_hook_leaves_the_original_forward(subject: Subject) -> None:
    transformer = subject.model.transformer
    with subject.hooked(Setting(RECOMMENDED, 1)):
        assert "forward" in vars(transformer)
    assert "forward" not in vars(transformer)
    assert transformer.forward.__func__ is type(transformer).forward


def test_a_reused_step_runs_no_block_and_keeps_no_encoder_residual() -> None:
    subject = Subject.make(replace(SMALL, images=1))
    transformer = subject.model.transformer
    always = ("x_embedder", "time_text_embed", "norm_out", "proj_out")
    when_computed = ("context_embedder", "pos_embed")
    blocks = [*transformer.transformer_blocks, *transformer.single_transformer_blocks]
    named = {name: [transformer.get_submodule(name)] for name in (*always, *when_computed)} | {"blocks": blocks}
    ran: Counter[str] = Counter()
    for name, modules in named.items():
        for module in modules:
            module.register_forward_hook(lambda *_, name=name: ran.update([name]))
    seen = []
    with subject.hooked(Setting(RECOMMENDED, 0)) as hook:

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
    assert len(seen) == SMALL.steps


def test_pixels_survive_the_way_through_latents() -> None:
    images = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    latents = to_latents(images)
    assert latents.shape == (3, 16, 16)
    torch.testing.assert_close(to_images(latents), images)


def test_the_model_comes_back_as_it_was_saved(subject: Subject, tmp_path: Path, uncached: torch.Tensor) -> None:
    model = subject.model
    save(tmp_path, model.transformer, model.prompts, model.classifier)
    again = load(tmp_path)
    for name, weight in again.transformer.state_dict().items():
        assert torch.equal(weight, model.transformer.state_dict()[name])  # they were in half precision before
    assert torch.equal(again.classifier(uncached), model.classifier(uncached))
    assert torch.equal(again.prompts.tokens, model.prompts.tokens)
