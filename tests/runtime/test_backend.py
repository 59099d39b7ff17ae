from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from teaspec import (
    CacheBackend,
    DiffusionCacheConfig,
    TeaCacheBackend,
    TeaCacheConfig,
    apply_teacache_hook,
    register_extractor,
    remove_teacache_hook,
)
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.models import WIDTH, DualStream, SingleStream, extract_dual, extract_single

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]
SETTINGS = {"rel_l1_thresh": 0.3, "coefficients": IDENTITY, "accumulate": "absolute", "warmup_steps": 2}


def pipeline(**components: Any) -> SimpleNamespace:
    register_extractor("SingleStream", extract_single)
    return SimpleNamespace(**(components or {"transformer": SingleStream(), "text_encoder": nn.Linear(1, 1)}))


@pytest.mark.parametrize("config", [SETTINGS, DiffusionCacheConfig(**SETTINGS)])
def test_enable_hands_its_settings_to_the_hook(config: Any) -> None:
    pipe, backend = pipeline(), TeaCacheBackend(config)
    assert isinstance(backend, CacheBackend)
    assert backend.config.rel_l1_thresh == 0.3
    assert not backend.is_enabled()
    backend.enable(pipe)
    assert backend.is_enabled()
    resolved = find_teacache_hook(pipe.transformer).config
    assert resolved == TeaCacheConfig(
        0.3, IDENTITY, "SingleStream", accumulate="absolute", variant="base", warmup_steps=2
    )
    assert find_teacache_hook(pipe.text_encoder) is None
    backend.disable(pipe)
    assert not backend.is_enabled()
    assert find_teacache_hook(pipe.transformer) is None


def test_every_transformer_that_is_known_is_hooked() -> None:
    register_extractor("DualStream", extract_dual)
    pipe = pipeline(transformer=SingleStream(), transformer_2=DualStream(), transformer_3=None)
    backend = TeaCacheBackend(SETTINGS)
    backend.enable(pipe)
    assert find_teacache_hook(pipe.transformer).config.transformer_type == "SingleStream"
    assert find_teacache_hook(pipe.transformer_2).config.transformer_type == "DualStream"
    remove_teacache_hook(pipe.transformer)
    assert backend.is_enabled()
    remove_teacache_hook(pipe.transformer_2)
    assert not backend.is_enabled()


def test_one_transformer_under_two_names_is_hooked_once() -> None:
    shared = SingleStream()
    pipe = pipeline(transformer=shared, transformer_2=shared)
    backend = TeaCacheBackend(SETTINGS)
    backend.enable(pipe)
    backend.disable(pipe)
    assert find_teacache_hook(shared) is None


def test_a_pipeline_may_be_a_module() -> None:
    class Pipeline(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = SingleStream()

    register_extractor("SingleStream", extract_single)
    pipe = Pipeline()
    TeaCacheBackend(SETTINGS).enable(pipe)
    assert find_teacache_hook(pipe.transformer) is not None


def test_all_or_nothing() -> None:
    pipe = pipeline(transformer=SingleStream(), transformer_2=SingleStream())
    apply_teacache_hook(pipe.transformer_2, TeaCacheConfig(coefficients=IDENTITY))
    backend = TeaCacheBackend(SETTINGS)
    with pytest.raises(ValueError, match="already applied"):
        backend.enable(pipe)
    assert find_teacache_hook(pipe.transformer) is None
    assert find_teacache_hook(pipe.transformer_2) is not None
    assert not backend.is_enabled()


def test_a_pipeline_without_a_known_transformer_lists_what_it_has_and_what_is_known() -> None:
    pipe = pipeline(unet=nn.Linear(1, 1), transformer=DualStream(), scheduler=object())
    message = r"It has: transformer \(DualStream\), unet \(Linear\)\. `transformer`: no spec .* Known: SingleStream\."
    with pytest.raises(ValueError, match=message):
        TeaCacheBackend(SETTINGS).enable(pipe)


def test_refresh_forgets_the_states(caplog: pytest.LogCaptureFixture) -> None:
    pipe, backend = pipeline(), TeaCacheBackend(SETTINGS)
    backend.enable(pipe)
    hook = find_teacache_hook(pipe.transformer)
    for verbose, lines in ((True, 1), (False, 0)):
        pipe.transformer(torch.ones(1, 2, WIDTH), torch.ones(1, WIDTH))
        caplog.clear()
        with caplog.at_level(logging.INFO):
            backend.refresh(pipe, num_inference_steps=28, verbose=verbose)
        assert len(caplog.records) == lines
        assert hook.state_manager.states == {}
        assert len(hook.last_generation.decisions) == 1
    assert pipe.transformer.steps_computed == 2


@pytest.mark.parametrize("call", [lambda backend, pipe: backend.refresh(pipe, 28), TeaCacheBackend.disable])
def test_a_pipeline_that_is_not_enabled_is_an_error(call: Any) -> None:
    with pytest.raises(ValueError, match="TeaCache is not on for this SimpleNamespace"):
        call(TeaCacheBackend(SETTINGS), pipeline())


def test_unknown_settings_are_refused_with_the_nearest_name() -> None:
    message = (
        r"'rel_l1_tresh'; did you mean 'rel_l1_thresh'\? unknown cache setting 'x'\. Known: accumulate, budget, cache"
    )
    with pytest.raises(ValueError, match=message):
        DiffusionCacheConfig.from_dict({"rel_l1_tresh": 0.3, "x": 1})
    with pytest.raises(ValueError, match="unknown cache setting 'x'"):
        TeaCacheBackend({"x": 1})


@pytest.mark.parametrize(
    "settings",
    [{"rel_l1_thresh": -1}, {"coefficients": [1.0]}, {"accumulate": "sum"}, {"variant": ""}, {"warmup_steps": -1}],
)
def test_bad_values_are_refused_before_there_is_a_pipeline(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
        TeaCacheBackend(settings)


def test_a_config_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a DiffusionCacheConfig or a dict, found a float"):
        TeaCacheBackend(0.2)


def test_defaults_are_the_documented_ones() -> None:
    assert TeaCacheBackend().config == DiffusionCacheConfig(0.2, None)
