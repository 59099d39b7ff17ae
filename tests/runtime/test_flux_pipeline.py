"""The hook in an unmodified diffusers pipeline, with a real (tiny) transformer."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import FluxPipeline

from teaspec import (
    TeaCacheBackend,
    TeaCacheConfig,
    TeaCacheHook,
    apply_teacache_hook,
    register_extractor,
    remove_teacache_hook,
)
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.models import extract_flux, flux_pipeline, generate, tiny_flux

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]


@pytest.fixture
def pipeline() -> FluxPipeline:
    register_extractor("FluxTransformer2DModel", extract_flux)
    return flux_pipeline(tiny_flux())


def apply(pipeline: FluxPipeline, threshold: float) -> TeaCacheHook:
    apply_teacache_hook(pipeline.transformer, TeaCacheConfig(threshold, IDENTITY))
    return find_teacache_hook(pipeline.transformer)


@pytest.mark.parametrize("cfg", [False, True])
def test_a_threshold_that_reuses_nothing_changes_nothing(pipeline: FluxPipeline, cfg: bool) -> None:
    expected = generate(pipeline, cfg=cfg)
    hook = apply(pipeline, 1e-9)
    assert torch.equal(generate(pipeline, cfg=cfg), expected)
    counts = hook.last_generation.counts
    assert {name: (one.computed, one.reused) for name, one in counts.items()} == dict.fromkeys(
        ["cond", "uncond"] if cfg else ["cond"], (6, 0)
    )
    remove_teacache_hook(pipeline.transformer)
    assert torch.equal(generate(pipeline, cfg=cfg), expected)


def test_reused_steps_run_no_block(pipeline: FluxPipeline) -> None:
    hook = apply(pipeline, 0.5)
    calls = {"blocks": 0, "context_embedder": 0, "pos_embed": 0, "norm_out": 0}
    for name, module in (
        ("blocks", pipeline.transformer.transformer_blocks[0]),
        ("context_embedder", pipeline.transformer.context_embedder),
        ("pos_embed", pipeline.transformer.pos_embed),
        ("norm_out", pipeline.transformer.norm_out),
    ):
        module.register_forward_hook(lambda *_, name=name: calls.update({name: calls[name] + 1}))
    generate(pipeline, cfg=True)
    counts = hook.last_generation.counts
    computed = sum(one.computed for one in counts.values())
    assert 2 <= computed < 12
    assert calls == {"blocks": computed, "context_embedder": computed, "pos_embed": computed, "norm_out": 12}


def test_a_pipeline_call_ends_with_a_reset(pipeline: FluxPipeline) -> None:
    hook = apply(pipeline, 0.5)
    first = generate(pipeline, cfg=True)
    assert hook.state_manager.states == {}
    assert hook.decisions == ()
    record = hook.last_generation
    assert {one.branch for one in record.decisions} == {"cond", "uncond"}
    assert torch.equal(generate(pipeline, cfg=True), first)
    assert hook.last_generation == record


def test_another_resolution_is_a_generation_like_any_other(pipeline: FluxPipeline) -> None:
    apply(pipeline, 0.5)
    expected = generate(pipeline, width=128)
    generate(pipeline)
    assert torch.equal(generate(pipeline, width=128), expected)


def test_no_encoder_residual_exists_during_a_generation(pipeline: FluxPipeline) -> None:
    hook = apply(pipeline, 0.5)
    seen = []

    def look(pipe: FluxPipeline, step: int, timestep: torch.Tensor, tensors: dict[str, torch.Tensor]) -> dict:
        seen.extend(copy.copy(state) for state in hook.state_manager.states.values())
        return tensors

    generate(pipeline, callback_on_step_end=look)
    assert len(seen) == 6
    assert [state.cnt for state in seen] == [1, 2, 3, 4, 5, 6]
    assert all(state.previous_residual is not None for state in seen)
    assert all(state.previous_residual_encoder is None and state.previous_live == {} for state in seen)


def test_the_backend_on_a_real_pipeline(pipeline: FluxPipeline) -> None:
    expected = generate(pipeline)
    backend = TeaCacheBackend({"rel_l1_thresh": 0.5, "coefficients": IDENTITY})
    backend.enable(pipeline)
    backend.refresh(pipeline, num_inference_steps=6)
    assert not torch.equal(generate(pipeline), expected)
    assert find_teacache_hook(pipeline.transformer).last_generation.counts["cond"].reused > 0
    backend.disable(pipeline)
    assert torch.equal(generate(pipeline), expected)
    assert "forward" not in vars(pipeline.transformer)
