"""TeaCache and the caches of diffusers: one of them at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import FasterCacheConfig, FirstBlockCacheConfig, PyramidAttentionBroadcastConfig, hooks
from diffusers.hooks import apply_first_block_cache

from teaspec import TeaCacheConfig, apply_teacache_hook, remove_teacache_hook
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.denoising import Denoiser, equal, flux

CONFIGS = {
    "first block": lambda: FirstBlockCacheConfig(threshold=0.1),
    "pyramid": lambda: PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2, current_timestep_callback=lambda: 500
    ),
    "faster": lambda: FasterCacheConfig(
        spatial_attention_block_skip_range=2, current_timestep_callback=lambda: 500, is_guidance_distilled=True
    ),
    "mag": lambda: hooks.MagCacheConfig(num_inference_steps=4, calibrate=True),
    "text": lambda: hooks.TextKVCacheConfig(),
    "sea": lambda: hooks.SeaCacheConfig(),
    "taylor": lambda: hooks.TaylorSeerCacheConfig(),
}
DIRECT = {
    "FBCHeadBlockHook": lambda model: apply_first_block_cache(model, FirstBlockCacheConfig(threshold=0.1)),
    "TaylorSeerCacheHook": lambda model: hooks.apply_taylorseer_cache(model, hooks.TaylorSeerCacheConfig()),
}
# Caches that came later than the oldest version that is supported.
LATER = {"mag": "MagCache", "text": "TextKVCache", "sea": "SeaCache", "taylor": "TaylorSeerCache"}
for name, cache in LATER.items():
    if not hasattr(hooks, f"{cache}Config"):
        del CONFIGS[name]
        DIRECT.pop(f"{cache}Hook", None)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_cache_that_is_on_is_an_error_that_names_both(name: str) -> None:
    model, config = flux(), CONFIGS[name]()
    model.enable_cache(config)
    with pytest.raises(ValueError, match=rf"{type(config).__name__}, and TeaCache on top .* disable_cache\(\) first"):
        Denoiser.on("flux", model)
    assert find_teacache_hook(model) is None
    model.disable_cache()
    assert equal(Denoiser.on("flux", model).generate(1), Denoiser.make("flux").generate(1))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_cache_that_comes_later_is_an_error_of_the_next_call(name: str) -> None:
    denoiser, config = Denoiser.make("flux"), CONFIGS[name]()
    calls = denoiser.calls(1)
    begun = [next(calls) for _ in range(3)]
    denoiser.model.enable_cache(config)
    wanted = rf"has TeaCache and, since then, a cache of diffusers, {type(config).__name__}: .* remove_teacache_hook"
    with pytest.raises(RuntimeError, match=wanted):
        denoiser.generate(2)
    assert len(denoiser.hook.decisions) == len(begun)
    denoiser.model.disable_cache()
    assert equal([*begun, *calls], Denoiser.make("flux").generate(1))


@pytest.mark.parametrize("name", DIRECT)
@pytest.mark.parametrize("first", [True, False])
def test_one_that_was_applied_without_enable_cache_is_found_too(name: str, first: bool) -> None:
    if first:
        model = flux()
        DIRECT[name](model)
        with pytest.raises(ValueError, match=f"a cache of diffusers, {name}, and TeaCache on top"):
            Denoiser.on("flux", model)
    else:
        denoiser = Denoiser.make("flux")
        DIRECT[name](denoiser.model)
        with pytest.raises(RuntimeError, match=f"has TeaCache and, since then, a cache of diffusers, {name}"):
            denoiser.generate(1)


def test_taking_teacache_off_leaves_the_other_at_work() -> None:
    denoiser = Denoiser.make("flux")
    denoiser.model.enable_cache(FirstBlockCacheConfig(threshold=0.1))
    remove_teacache_hook(denoiser.model)
    other = flux()
    other.enable_cache(FirstBlockCacheConfig(threshold=0.1))
    assert equal(denoiser.generate(1), Denoiser.of("flux", other).generate(1))


def test_hooking_twice_is_an_error() -> None:
    denoiser = Denoiser.make("flux")
    with pytest.raises(ValueError, match="already applied to this FluxTransformer2DModel; call remove_teacache_hook"):
        Denoiser.on("flux", denoiser.model)
    with pytest.raises(ValueError, match="already applied"):
        apply_teacache_hook(denoiser.model, TeaCacheConfig())
    assert equal(denoiser.generate(1), Denoiser.make("flux").generate(1))


def test_a_hook_that_remembers_nothing_is_no_rival() -> None:
    model: Any = flux()
    model.enable_layerwise_casting(torch.float32, torch.float32)
    assert equal(Denoiser.on("flux", model).generate(1), Denoiser.make("flux").generate(1))
