"""The figures of `teaspec compare` are those of generations that are made and measured by hand."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch

import teaspec
from teaspec.compare.job import Job
from teaspec.compare.run import compare
from teaspec.compare.settings import settings_of
from teaspec.compare.shot import GenerationError
from teaspec.pipelines.load import load_pipeline
from tests.compare import by_hand, loaders
from tests.compare.conftest import PROMPTS, SEEDS, STEPS

# Each comparison is made once, so one worker takes all tests that look at it.
pytestmark = pytest.mark.xdist_group("compare")

MOTIFS = [(prompt, seed) for prompt in PROMPTS for seed in SEEDS]
SETTINGS = ({"budget": 2}, {"budget": 4}, {"rel_l1_thresh": 0.12})
CALLS_A_STEP = {"sd3": 1, "wan_video": 2}
"""SD3 has both branches in one call, Wan calls once for each."""


def job(loader: str, *prompts: str, seeds: tuple[int, ...] = (0,), **choices: list[float]) -> Job:
    source = load_pipeline(f"tests.compare.loaders:{loader}", result="np")
    return Job(loader, source, prompts or ("owl",), seeds, settings_of(choices, {}), {"num_inference_steps": STEPS})


def close(found: Any, wanted: float, tolerance: float) -> bool:
    return float(found) == wanted if math.isinf(wanted) else abs(float(found) - wanted) < tolerance


@pytest.mark.parametrize("loader", ["sd3", pytest.param("wan_video", marks=pytest.mark.thorough)])
def test_the_figures_are_those_made_by_hand(made: Any, loader: str) -> None:
    """Mutations: seeds counted on instead of given; PSNR against the image of another seed; a flat window of SSIM;
    computed steps that count reused ones; branches not averaged.
    """
    found = made(loader, 0.12).found
    assert [(motif["prompt"], motif["seed"]) for motif in found["motifs"]] == MOTIFS
    pipeline = getattr(loaders, loader)()
    plain = [by_hand.generate(pipeline, *motif, STEPS) for motif in MOTIFS]
    assert {calls for _, calls in plain} == {STEPS * CALLS_A_STEP[loader]}
    for settings, one in zip(SETTINGS, found["settings"], strict=True):
        assert one["arguments"] == settings
        decibels, likeness, computed = [], [], []
        for motif, (expected, _), generation in zip(MOTIFS, plain, one["generations"], strict=True):
            images, calls = by_hand.generate(pipeline, *motif, STEPS, **settings)
            decibels.append(by_hand.psnr(images, expected))
            likeness.append(by_hand.ssim(images, expected))
            computed.append(calls / CALLS_A_STEP[loader])
            assert close(generation["psnr"], decibels[-1], 0.01)
            assert close(generation["ssim"], likeness[-1], 1e-6)
            assert (generation["computed"], generation["steps"]) == (computed[-1], STEPS)
            decided = [step["decision"] for steps in generation["branches"].values() for step in steps]
            assert decided.count("compute") == calls
            assert len(decided) == STEPS * CALLS_A_STEP[loader]
        assert close(one["psnr"]["median"], median(decibels), 0.01)
        assert close(one["psnr"]["low"], min(decibels), 0.01)
        assert close(one["ssim"]["median"], median(likeness), 1e-6)
        assert one["computed"] == median(computed)
        assert one["time_ratio"]["count"] == len(MOTIFS)
        ratios = [generation["time_ratio"] for generation in one["generations"]]
        assert one["time_ratio"]["median"] == median(ratios)
    assert [one["computed"] for one in found["settings"][:2]] == [2, 4]
    assert found["repeats"] == "inf"


def test_the_sheet_shows_the_images(made: Any) -> None:
    """Mutations: the uncached images drawn in each row."""
    picture = matplotlib.image.imread(made("sd3", 0.12).sheet)
    assert picture.shape[1] == 11 * 150
    pipeline = loaders.sd3()
    uncached = by_hand.generate(pipeline, *MOTIFS[0], STEPS)[0]
    cached = by_hand.generate(pipeline, *MOTIFS[0], STEPS, budget=2)[0]
    drawn = {tuple(colour) for colour in (picture[..., :3] * 255).round().astype(int).reshape(-1, 3)}
    for images in (uncached, cached):
        wanted = {tuple(colour) for colour in (images * 255).round().astype(int).reshape(-1, 3)}
        near = [colour for colour in wanted if any(np.abs(np.subtract(colour, one)).max() <= 1 for one in drawn)]
        assert len(near) == len(wanted)


def test_cached_and_uncached_take_turns_and_nothing_is_left() -> None:
    """Mutations: the uncached generation always first; the cache left on behind the last; the bar left off."""
    asked = job("run_by_hand", "owl", "cat", budget=[2, 3])
    pipeline, order = asked.source.pipeline, []
    pipeline.set_progress_bar_config(desc="of the user's")
    asked.source.run("owl", seed=0, num_inference_steps=2)  # a call leaves things on a pipeline by itself
    parts = (pipeline, pipeline.transformer, pipeline.scheduler)
    before = [set(vars(part)) for part in parts]

    def note(_module: Any, _args: Any) -> None:
        hook = teaspec.find_teacache_hook(pipeline.transformer)
        order.append(None if hook is None else hook.config.budget)

    handle = pipeline.transformer.norm_out.register_forward_pre_hook(note)
    done: list[int] = []
    found = compare(asked, lambda: done.append(len(order)))
    handle.remove()
    generations = [order[begin] for begin in (0, *done[:-1])]
    assert generations == [None, *(None, 2, 3), *(3, 2, None)]
    assert len(done) == asked.generations == 7
    assert found.pipeline == "StableDiffusion3Pipeline"
    assert teaspec.find_teacache_hook(pipeline.transformer) is None
    assert [set(vars(part)) for part in parts] == before
    assert pipeline._progress_bar_config == {"desc": "of the user's"}


def test_a_pipeline_may_bring_its_arguments() -> None:
    """Mutations: the arguments left out of the call."""
    scaled, plain = (compare(job(loader, budget=[3])) for loader in ("sd3_scaled", "sd3"))
    assert not torch.equal(scaled.shown[0].uncached, plain.shown[0].uncached)


def test_a_pipeline_that_does_not_repeat_itself_is_told() -> None:
    """Mutations: the first generation compared with itself."""
    from teaspec.compare.words import notes

    assert math.isfinite(compare(job("restless", budget=[3])).repeats)
    told = " ".join(notes(compare(job("restless", budget=[3]))))
    assert "does not repeat itself" in told
    assert "does not repeat itself" not in " ".join(notes(compare(job("sd3", budget=[3]))))


def test_a_generation_that_fails_says_which_and_leaves_no_cache() -> None:
    """Mutations: the exception let through as it is."""
    asked = job("failing", budget=[3])
    with pytest.raises(GenerationError, match=r"budget=3, seed 0, prompt 'owl'\): OverflowError: too hot"):
        compare(asked)
    assert teaspec.find_teacache_hook(asked.source.pipeline.transformer) is None


def test_a_transformer_that_is_never_called_is_told() -> None:
    """Mutations: no decisions taken for a generation without steps."""
    with pytest.raises(GenerationError, match="without calling a transformer"):
        compare(job("elsewhere", budget=[3]))
