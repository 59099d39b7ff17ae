"""Choosing a cache by its name, by the environment, or in one line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline

import teaspec
from teaspec import TeaCacheBackend, get_cache_backend, register_extractor
from teaspec.catalog import SpecExtractor
from teaspec.runtime.pipeline.apply import find_teacache_hook
from teaspec.runtime.pipeline.selection import ENVIRONMENT
from tests.runtime.denoising import SPECS, wan
from tests.runtime.driving import IDENTITY
from tests.runtime.models import SingleStream, extract_single


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)


def test_a_backend_by_its_name() -> None:
    backend = get_cache_backend("tea_cache", {"rel_l1_thresh": 0.3, "max_consecutive_reuses": 2})
    assert isinstance(backend, TeaCacheBackend)
    assert (backend.config.rel_l1_thresh, backend.config.max_consecutive_reuses) == (0.3, 2)
    assert get_cache_backend("none", {"rel_l1_thresh": 0.3}) is None
    assert get_cache_backend() is None


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"unknown cache backend 'teacache'; did you mean 'tea_cache'\? Known: none, tea"
    ):
        get_cache_backend("teacache")
    with pytest.raises(ValueError, match=r"unknown cache setting 'warmup'; did you mean 'warmup_steps'\?"):
        get_cache_backend("tea_cache", {"warmup": 3})


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_the_environment_chooses_where_nothing_was_passed(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "Tea_Cache")
    backend = get_cache_backend(cache_config={"rel_l1_thresh": 0.4})
    assert isinstance(backend, TeaCacheBackend)
    assert backend.config.rel_l1_thresh == 0.4
    assert get_cache_backend("none") is None
    monkeypatch.setenv(variable, "tee_cache")
    with pytest.raises(ValueError, match=rf"'tee_cache' \(from {variable}\); did you mean 'tea_cache'\?"):
        get_cache_backend()


def test_the_newer_variable_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFUSION_CACHE_ADAPTER", "tea_cache")
    monkeypatch.setenv("DIFFUSION_CACHE_BACKEND", "none")
    assert get_cache_backend() is None
    monkeypatch.setenv("DIFFUSION_CACHE_BACKEND", "")
    assert isinstance(get_cache_backend(), TeaCacheBackend)


@pytest.mark.parametrize("inside", [True, False], ids=["pipeline", "transformer"])
def test_one_line_on_and_one_line_off(inside: bool) -> None:
    register_extractor("SingleStream", extract_single)
    transformer = SingleStream()
    pipe: Any = SimpleNamespace(transformer=transformer) if inside else transformer
    backend = teaspec.enable(pipe, rel_l1_thresh=0.25, coefficients=IDENTITY)
    assert backend.is_enabled()
    assert find_teacache_hook(transformer).config.rel_l1_thresh == 0.25
    teaspec.disable(pipe)
    assert not backend.is_enabled()
    with pytest.raises(ValueError, match="TeaCache is not on for this"):
        teaspec.disable(pipe)


def test_one_line_refuses_what_the_config_refuses() -> None:
    with pytest.raises(ValueError, match=r"unknown cache setting 'rel_l1_tresh'; did you mean 'rel_l1_thresh'\?"):
        teaspec.enable(SimpleNamespace(transformer=SingleStream()), rel_l1_tresh=0.25)


@pytest.mark.parametrize("fails", [False, True])
def test_behind_a_with_it_is_off(fails: bool) -> None:
    """Mutation: `__exit__` does nothing."""
    register_extractor("SingleStream", extract_single)
    pipe = SimpleNamespace(transformer=SingleStream())
    ways = (
        lambda: teaspec.enabled(pipe, rel_l1_thresh=0.25, coefficients=IDENTITY),
        lambda: teaspec.enable(pipe, rel_l1_thresh=0.25, coefficients=IDENTITY),
    )
    for way in ways:
        try:
            with way() as backend:
                assert backend.is_enabled()
                assert find_teacache_hook(pipe.transformer).config.rel_l1_thresh == 0.25
                if fails:
                    raise InterruptedError
        except InterruptedError:
            assert fails
        assert not backend.is_enabled()
        assert "forward" not in vars(pipe.transformer)
    with get_cache_backend("tea_cache", {"coefficients": IDENTITY}) as backend:
        assert not backend.is_enabled()
        backend.enable(pipe)
    assert find_teacache_hook(pipe.transformer) is None


def test_behind_a_with_others_keep_theirs() -> None:
    """Mutation: `disable_all` takes off whatever hook is there, or fails where there is none."""
    register_extractor("SingleStream", extract_single)
    model, other = SingleStream(), SingleStream()
    with TeaCacheBackend({"coefficients": IDENTITY}) as backend:
        backend.enable(model)
        backend.enable(other)
        teaspec.disable(model)
        teaspec.disable(other)
        teaspec.enable(model, coefficients=IDENTITY)
    assert find_teacache_hook(model) is not None
    assert find_teacache_hook(other) is None


def test_both_transformers_of_wan_have_their_own_state() -> None:
    register_extractor("WanTransformer3DModel", SpecExtractor(SPECS / "wan.yaml"))
    pipe = WanPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=None,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        transformer=wan(),
        transformer_2=wan(),
        boundary_ratio=0.5,
    )
    pipe.set_progress_bar_config(disable=True)

    def generate() -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        prompts = [torch.randn(1, 3, 8, generator=generator) for _ in range(2)]
        return pipe(
            prompt_embeds=prompts[0],
            negative_prompt_embeds=prompts[1],
            height=16,
            width=16,
            num_frames=1,
            num_inference_steps=8,
            generator=generator,
            output_type="latent",
        ).frames

    plain = generate()
    teaspec.enable(pipe, rel_l1_thresh=1e9, coefficients=[0.0] * 5, warmup_steps=0)
    cached = generate()
    assert not torch.equal(cached, plain)
    found = teaspec.stats(pipe)
    assert [one.name for one in found.transformers] == ["transformer", "transformer_2"]
    for one, last in zip(found.transformers, ("distance", "last step"), strict=True):
        assert [branch.branch for branch in one.branches] == ["cond", "uncond"]
        for branch in one.branches:
            assert branch.computed + branch.reused == 4
            assert branch.decisions[0].reason == "first call"
            assert branch.decisions[-1].reason == last  # the pipeline tells the number of steps
    assert torch.equal(generate(), cached)
    teaspec.disable(pipe)
    assert torch.equal(generate(), plain)
