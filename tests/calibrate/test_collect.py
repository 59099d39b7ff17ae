"""Pairs from real models: what they are, and what they are never made of."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.hooks.hooks import HookRegistry

import teaspec
from teaspec.calibrate import (
    DataCollectionHook,
    TeaCacheCoefficientEstimator,
    calculate_relative_l1,
    collecting,
    estimate_teacache_coefficients,
    fit_pairs,
)
from teaspec.proof.compare import require_equal
from teaspec.proof.hooked import Unidentified
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.calibrate.prompted import Prompted
from tests.runtime.denoising import SPECS, flux, flux_inputs
from tests.runtime.models import tiny_flux
from tests.runtime.timed import Timed

KINDS = ("ace_step", "cogvideox", "consisid", "dit", "flux", "ltx2", "omnigen", "qwen_image", "stable_audio", "wan")
"""Ten specs: one and two streams, with text and without, images, videos and sound."""


def drive(model: Any, seed: int, branches: tuple[str, ...] = ("cond",), steps: int = 8) -> None:
    latents = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(seed))
    for step in range(steps):
        for number, branch in enumerate(branches):
            prompt = torch.full((1, 3, 8), 1.0 + number)
            with torch.no_grad(), model.cache_context(branch):
                model(**flux_inputs(latents, prompt, 1 - step / steps))
        latents = 0.9 * latents
    model._reset_stateful_cache()


OTHERS = sorted({path.stem for path in SPECS.glob("*.yaml")} - set(KINDS))


@pytest.mark.parametrize("kind", [*KINDS, *(pytest.param(kind, marks=pytest.mark.thorough) for kind in OTHERS)])
def test_pairs_of_any_spec(kind: str) -> None:
    timed = Timed(kind)
    calls = [(step, 1 - step / 8) for step in range(7)]
    with torch.no_grad():
        expected = [_called(timed, *call) for call in calls]
        # What a probe draws anew at each call is no conditioning; the calls are those of one generation all the same.
        extractor = Unidentified(timed.extractor, (), timed.module)
        with collecting(timed.module, extractor=extractor) as hook, teaspec.branch("cond"):
            found = [_called(timed, *call) for call in calls]
    require_equal(expected, found, "while pairs are collected")
    (one,) = hook.pairs.trajectories
    assert (hook.pairs.transformer_type, one.branch, len(hook.pairs)) == (timed.spec.class_name, "cond", 6)
    assert np.isfinite(one.changes).all()
    assert (one.changes > 0).all()
    assert len(fit_pairs(hook.pairs, order=1).coefficients) == 5
    assert "forward" not in vars(timed.module)


def _called(timed: Timed, step: int, time: float) -> Any:
    given = timed.arguments(time, step)
    return timed.module(*given.args, **given.kwargs)


def test_pairs_are_what_the_definition_says() -> None:
    model = flux()
    hook = DataCollectionHook("FluxTransformer2DModel")
    HookRegistry.check_if_exists_or_initialize(model).register_hook(hook, DataCollectionHook._HOOK_NAME)
    seen: list[torch.Tensor] = []
    model.norm_out.register_forward_pre_hook(lambda _module, args: seen.append(args[0].clone()))
    hook.start_collection()
    drive(model, seed=1)
    recording = hook.stop_collection()
    assert len(recording) == 8
    assert recording.trajectories == [list(recording)]
    for (_, output), expected in zip(recording, seen, strict=True):
        assert np.array_equal(output, expected.numpy())
    (one,) = recording.pairs.trajectories
    signals, outputs = zip(*recording, strict=True)
    for found, tensors in ((one.distances, signals), (one.changes, outputs)):
        expected_ = [calculate_relative_l1(*two) for two in pairwise(tensors)]
        np.testing.assert_allclose(found, expected_, rtol=1e-4)
    found_ = estimate_teacache_coefficients([recording], poly_order=2)
    np.testing.assert_allclose(found_, fit_pairs(recording.pairs, 2).coefficients[-3:], rtol=1e-2, atol=1e-3)


def test_neither_branches_nor_generations_are_paired() -> None:
    both, alone = flux(), flux()
    with collecting(both) as hook:
        for seed in (1, 2):
            drive(both, seed, ("cond", "uncond"))
    expected = []
    for seed in (1, 2):
        for number in range(2):
            with collecting(alone) as own:
                branches: tuple[str, ...] = ("cond",) if number == 0 else ("other", "uncond")
                drive(alone, seed, branches)
            expected.append(own.pairs.trajectories[-1])
    assert [one.branch for one in hook.pairs.trajectories] == ["cond", "uncond"] * 2
    assert [one.key for one in hook.pairs.trajectories] == [one.key for one in expected]
    assert len({one.key for one in expected}) == 4


def test_a_generation_that_is_given_up_is_not_paired_with_the_next() -> None:
    model, other = flux(), flux()
    with collecting(model) as hook:
        latents, prompt = torch.ones(1, 6, 4), torch.ones(1, 3, 8)
        with torch.no_grad(), model.cache_context("cond"):
            model(**flux_inputs(latents, prompt, 1.0))
            model(**flux_inputs(latents, prompt, 0.9))
        drive(model, seed=1)  # nobody told that a new one begins
    with collecting(other) as own:
        drive(other, seed=1)
    assert [len(one.distances) for one in hook.pairs.trajectories] == [1, 7]
    assert hook.pairs.trajectories[1].key == own.pairs.trajectories[0].key


def test_a_collection_needs_every_step_computed() -> None:
    model = flux()
    teaspec.enable(model, rel_l1_thresh=0.1)
    with pytest.raises(ValueError, match="TeaCache is on for this FluxTransformer2DModel"), collecting(model):
        pass
    teaspec.disable(model)
    with pytest.raises(ValueError, match="no transformer of class Linear"), collecting(torch.nn.Linear(1, 1)):
        pass


def test_nothing_is_collected_before_the_start_and_after_the_end() -> None:
    model = flux()
    hook = DataCollectionHook(keeps_tensors=False)
    HookRegistry.check_if_exists_or_initialize(model).register_hook(hook, DataCollectionHook._HOOK_NAME)
    drive(model, seed=1)
    hook.start_collection()
    drive(model, seed=2)
    first = hook.stop_collection()
    drive(model, seed=3)
    assert (list(first), len(hook.pairs), len(first.pairs)) == ([], 7, 7)
    hook.start_collection()
    assert len(hook.pairs) == 0


def test_the_estimator() -> None:
    estimator = TeaCacheCoefficientEstimator.of(Prompted(cfg=True))
    with pytest.raises(RuntimeError, match="nothing was collected yet"):
        estimator.estimate()
    for seed in (1, 2):
        collected = estimator.collect_from_prompt("a digit", num_inference_steps=7, seed=seed)
        assert [(one.branch, len(one.distances)) for one in collected.trajectories] == [("cond", 6), ("uncond", 6)]
    assert len(estimator.pairs) == 24
    assert len(estimator.estimate()) == 5
    assert estimator.estimate(2) == list(estimator.fit(2).coefficients[-3:])
    assert find_teacache_hook(estimator.transformer) is None


def test_a_transformer_is_named_where_it_must_be() -> None:
    pipeline = Prompted()
    pipeline.other = tiny_flux()  # type: ignore[attr-defined]
    with pytest.raises(
        ValueError, match=r"several transformers, name one: transformer \(FluxTransformer2DModel\), other"
    ):
        TeaCacheCoefficientEstimator.of(pipeline)
    assert TeaCacheCoefficientEstimator.of(pipeline, "other").transformer is pipeline.other  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"no transformer 'othr' \(did you mean|no transformer 'othr'"):
        TeaCacheCoefficientEstimator.of(pipeline, "othr")
    with pytest.raises(ValueError, match="no transformer with a spec"):
        TeaCacheCoefficientEstimator.of(torch.nn.Linear(1, 1))
