"""Copies of a hooked transformer, what is saved of it, and what removal leaves."""

from __future__ import annotations

import copy
import functools
import inspect
import io
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import accelerate
import pytest
import torch
from diffusers import FluxTransformer2DModel

from teaspec import TeaCacheConfig, apply_teacache_hook, register_extractor, remove_teacache_hook
from teaspec.catalog import SpecExtractor
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.denoising import SPECS, THRESHOLDS, Denoiser, equal, flux

IDENTITY = [0, 0, 0, 1, 0]


def registered(**settings: Any) -> Denoiser:
    """A tiny FLUX, hooked as users do it: the extractor comes from the registry."""
    register_extractor("FluxTransformer2DModel", SpecExtractor(SPECS / "flux.yaml"))
    model = flux()
    apply_teacache_hook(model, TeaCacheConfig(THRESHOLDS["flux"], IDENTITY, **settings))
    return Denoiser.of("flux", model)


def pickled(model: Any) -> Any:
    return pickle.loads(pickle.dumps(model))


def saved(model: Any) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled, saved])
def test_a_copy_has_a_cache_of_its_own(duplicate: Any) -> None:
    original = registered()
    expected = original.generate(1)
    before = original.hook.decisions
    twin = Denoiser.of("flux", duplicate(original.model))
    assert twin.hook is not original.hook
    assert twin.hook.config == original.hook.config
    with torch.no_grad():
        for parameter in original.model.parameters():
            parameter.zero_()  # a copy that reaches for the original shows
    assert equal(twin.generate(1), expected)
    assert original.hook.decisions == before
    assert {one.decision for one in twin.hook.decisions} == {"compute", "reuse"}
    with twin.model.cache_context("cond"):
        assert twin.hook.state_manager.context.name == "cond"
        assert original.hook.state_manager.find_context() is None
    remove_teacache_hook(twin.model)
    assert "forward" not in vars(twin.model)
    assert find_teacache_hook(original.model) is original.hook


def test_a_deep_copy_goes_on_where_the_original_is_and_a_pickled_one_begins_anew() -> None:
    original = registered()
    calls = original.calls(1)
    expected = [next(calls) for _ in range(4)]
    twin = copy.deepcopy(original.model)
    assert find_teacache_hook(twin).decisions == original.hook.decisions
    assert find_teacache_hook(twin).sessions.current().bytes_held == original.hook.sessions.current().bytes_held > 0
    mine = {tensor.data_ptr() for state in original.hook.state_manager.states.values() for tensor in state.tensors()}
    other = find_teacache_hook(twin).state_manager.states.values()
    assert not mine & {tensor.data_ptr() for state in other for tensor in state.tensors()}
    assert find_teacache_hook(pickled(original.model)).decisions == ()
    assert equal([*expected, *calls], registered().generate(1))


def test_settings_of_the_moment_do_not_travel_but_choices_do() -> None:
    original = registered(warmup_steps=1, max_consecutive_reuses=1)
    hook = find_teacache_hook(pickled(original.model))
    assert hook.config == original.hook.config
    assert (hook.config.variant, hook.config.transformer_type) == ("base", "FluxTransformer2DModel")


LOADS = """
import sys, torch
model = torch.load(sys.argv[1], weights_only=False)
from tests.runtime.denoising import Denoiser
denoiser = Denoiser.of("flux", model)
outputs = denoiser.generate(1)
torch.save((outputs, [one.decision for one in denoiser.hook.decisions]), sys.argv[2])
"""


@pytest.mark.thorough
def test_a_pickled_one_comes_back_hooked_in_another_process(tmp_path: Path) -> None:
    original = registered()
    expected = original.generate(1)
    torch.save(original.model, tmp_path / "model.pt")
    subprocess.run([sys.executable, "-c", LOADS, tmp_path / "model.pt", tmp_path / "found.pt"], check=True)
    found, decisions = torch.load(tmp_path / "found.pt", weights_only=False)
    assert equal(found, expected)
    assert decisions == [one.decision for one in original.hook.decisions]


def test_an_extractor_that_was_compiled_by_hand_is_refused_by_name() -> None:
    denoiser = Denoiser.make("flux")
    with pytest.raises(pickle.PicklingError, match=r"<extractor of FluxTransformer2DModel.* register it, by a spec"):
        pickle.dumps(denoiser.model)
    twin = copy.deepcopy(denoiser.model)
    assert find_teacache_hook(twin).extractor_fn is denoiser.hook.extractor_fn
    remove_teacache_hook(denoiser.model)
    pickle.dumps(denoiser.model)


def test_a_copy_under_accelerate_has_a_cache_of_its_own() -> None:
    original = registered()
    accelerate.cpu_offload_with_hook(original.model, "cpu")
    expected = original.generate(1)
    before = original.hook.decisions
    twin = Denoiser.of("flux", copy.deepcopy(original.model))
    assert equal(twin.generate(1), expected)
    assert original.hook.decisions == before
    assert len(twin.hook.decisions) == len(expected)


def test_what_is_saved_is_that_of_the_model_alone(tmp_path: Path) -> None:
    original = registered()
    plain, hooked = tmp_path / "plain", tmp_path / "hooked"
    flux().save_pretrained(plain)
    expected = original.generate(1)
    original.model.save_pretrained(hooked)
    assert sorted(file.name for file in hooked.iterdir()) == sorted(file.name for file in plain.iterdir())
    for file in plain.iterdir():
        assert (hooked / file.name).read_bytes() == file.read_bytes()
    assert json.loads((hooked / "config.json").read_text())["_class_name"] == "FluxTransformer2DModel"
    loaded = FluxTransformer2DModel.from_pretrained(hooked)
    assert find_teacache_hook(loaded) is None
    assert original.model.state_dict().keys() == loaded.state_dict().keys()
    apply_teacache_hook(loaded, TeaCacheConfig(THRESHOLDS["flux"], IDENTITY))
    assert equal(Denoiser.of("flux", loaded).generate(1), expected)


@pytest.mark.parametrize("own", [False, True], ids=["class", "instance"])
def test_removal_restores_the_exact_forward(own: bool) -> None:
    register_extractor("FluxTransformer2DModel", SpecExtractor(SPECS / "flux.yaml"))
    model = flux()
    if own:
        model.forward = functools.partial(FluxTransformer2DModel.forward, model)
    before, forward, signature = dict(vars(model)), model.forward, inspect.signature(model.forward)
    for _ in range(2):
        apply_teacache_hook(model, TeaCacheConfig(THRESHOLDS["flux"], IDENTITY))
        assert inspect.signature(model.forward) == signature
        with torch.no_grad():
            next(Denoiser.of("flux", model).calls(1))
        del model.do_true_cfg  # the test's own
        remove_teacache_hook(model)
        assert vars(model) == before
        assert model.forward is forward if own else model.forward == forward
        assert model.forward is forward or model.forward.__func__ is FluxTransformer2DModel.forward
        assert inspect.signature(model.forward) == signature
        assert all("_diffusers_hook" not in vars(module) for module in model.modules())
