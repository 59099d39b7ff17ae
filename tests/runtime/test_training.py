"""A transformer that is being trained: TeaCache stays out of its way."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from diffusers import DiTTransformer2DModel

from teaspec import TeaCacheConfig, apply_teacache_hook, compile_spec, load_spec
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.denoising import SPECS


def dit() -> DiTTransformer2DModel:
    """Its embedding drops labels at random in training."""
    torch.manual_seed(0)
    return DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        num_layers=2,
        sample_size=8,
        num_embeds_ada_norm=1000,
    )


def hooked(model: DiTTransformer2DModel) -> Any:
    config = TeaCacheConfig(1e9, [0, 0, 0, 1, 0], warmup_steps=0)
    apply_teacache_hook(model, config, extractor=compile_spec(load_spec(SPECS / "dit.yaml"), model))
    return find_teacache_hook(model)


def call(model: DiTTransformer2DModel, step: int) -> torch.Tensor:
    latents = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(step))
    labels = torch.arange(8)
    return model(latents, timestep=torch.full((8,), 900 - step), class_labels=labels, return_dict=False)[0]


def trained(model: DiTTransformer2DModel, steps: int) -> list[torch.Tensor]:
    """Takes steps with a gradient; returns the outputs, and the weights that come of it."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(1)
    outputs = []
    for step in range(steps):
        optimizer.zero_grad()
        outputs.append(call(model, step))
        outputs[-1].square().mean().backward()
        optimizer.step()
    return [*outputs, *model.parameters()]


def test_training_is_that_of_the_model_alone(caplog: pytest.LogCaptureFixture) -> None:
    model = dit()
    hook = hooked(model)
    with caplog.at_level(logging.WARNING):
        found = trained(model, 3)
    assert all(map(torch.equal, found, trained(dit(), 3)))
    assert hook.decisions == ()
    assert hook.sessions.all == ()
    said = [one.message for one in caplog.records if "being trained" in one.message]
    assert said == [
        "This DiTTransformer2DModel is being trained: its calls are computed, without TeaCache. Call eval(), or run it "
        "under torch.no_grad(), to have them cached. Said once"
    ]


def test_a_generation_in_between_is_cached_and_knows_nothing_of_the_training() -> None:
    model = dit()
    hook = hooked(model)
    model.eval()
    with torch.no_grad():
        call(model, 0)
        trained_states = dict(hook.state_manager.states)
    model.train()
    call(model, 1).mean().backward()
    assert dict(hook.state_manager.states) == trained_states
    model.eval()
    with torch.no_grad():
        call(model, 2)
    assert [one.decision for one in hook.decisions] == ["compute", "reuse"]


@pytest.mark.parametrize(("training", "gradients"), [(False, True), (True, False)])
def test_evaluation_and_calls_without_gradients_are_cached(training: bool, gradients: bool) -> None:
    model = dit().train(training)
    hook = hooked(model)
    with torch.set_grad_enabled(gradients):
        call(model, 0)
        call(model, 1)
    assert [one.decision for one in hook.decisions] == ["compute", "reuse"]
