from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from diffusers import FirstBlockCacheConfig
from diffusers.hooks import HookRegistry
from torch import nn

from teaspec import TeaCacheConfig, apply_teacache_hook, register_extractor, remove_teacache_hook
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.models import WIDTH, SingleStream, SingleStreamExtractor, extract_flux, extract_single, tiny_flux

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]
HIDDEN, SIGNAL = torch.ones(1, 2, WIDTH), torch.ones(1, WIDTH)


@pytest.fixture
def module() -> SingleStream:
    register_extractor("SingleStream", extract_single)
    return SingleStream()


def test_removal_restores_the_forward(module: SingleStream) -> None:
    before = inspect.signature(module.forward)
    apply_teacache_hook(module)
    assert "forward" in vars(module)
    assert inspect.signature(module.forward) == before
    remove_teacache_hook(module)
    assert "forward" not in vars(module)
    assert module.forward.__func__ is SingleStream.forward
    assert find_teacache_hook(module) is None
    apply_teacache_hook(module)
    remove_teacache_hook(module)
    assert "forward" not in vars(module)


def test_a_real_transformer_keeps_its_signature_and_gets_its_forward_back() -> None:
    register_extractor("FluxTransformer2DModel", extract_flux)
    transformer = tiny_flux()
    before = inspect.signature(transformer.forward)
    apply_teacache_hook(transformer)
    assert inspect.signature(transformer.forward) == before
    remove_teacache_hook(transformer)
    assert "forward" not in vars(transformer)


def test_removal_frees_the_cached_tensors_and_keeps_the_record(module: SingleStream) -> None:
    apply_teacache_hook(module)
    hook = find_teacache_hook(module)
    module(HIDDEN, SIGNAL)
    remove_teacache_hook(module)
    assert hook.state_manager.states == {}
    assert len(hook.last_generation.decisions) == 1


def test_hooking_twice_is_an_error(module: SingleStream) -> None:
    apply_teacache_hook(module)
    with pytest.raises(ValueError, match="already applied to this SingleStream"):
        apply_teacache_hook(module)


def test_removing_nothing_is_an_error(module: SingleStream) -> None:
    with pytest.raises(ValueError, match="not applied to this SingleStream"):
        remove_teacache_hook(module)
    HookRegistry.check_if_exists_or_initialize(module)
    with pytest.raises(ValueError, match="not applied to this SingleStream"):
        remove_teacache_hook(module)


def test_a_cache_of_diffusers_is_an_error_that_names_it() -> None:
    register_extractor("FluxTransformer2DModel", extract_flux)
    transformer = tiny_flux()
    transformer.enable_cache(FirstBlockCacheConfig(threshold=0.1))
    with pytest.raises(ValueError, match="already has a cache of diffusers, FirstBlockCacheConfig"):
        apply_teacache_hook(transformer)
    transformer.disable_cache()
    apply_teacache_hook(transformer)


@pytest.mark.parametrize(("subject", "config"), [("module", None), (nn.Linear(1, 1), {"rel_l1_thresh": 0.2})])
def test_wrong_types_are_refused(subject: Any, config: Any) -> None:
    with pytest.raises(TypeError, match="must be a"):
        apply_teacache_hook(subject, config)


def test_an_unknown_class_lists_what_is_known_and_changes_nothing() -> None:
    register_extractor("SingleStreams", extract_single)
    module = SingleStream()
    with pytest.raises(
        ValueError, match=r"of class SingleStream: no spec and no extractor is for its class\. Known: SingleStreams\."
    ):
        apply_teacache_hook(module)
    assert "forward" not in vars(module)
    assert find_teacache_hook(module) is None


def test_an_extractor_can_be_given_for_one_module_without_registering_it() -> None:
    module, other = SingleStream(), SingleStream()
    extractor = SingleStreamExtractor()
    apply_teacache_hook(module, TeaCacheConfig(rel_l1_thresh=1e9, coefficients=IDENTITY), extractor=extractor)
    first, second = module(HIDDEN, SIGNAL), module(HIDDEN, SIGNAL)
    assert (extractor.entered, module.steps_computed) == (2, 1)
    assert torch.allclose(first, second)
    with pytest.raises(ValueError, match="knows no transformer of class SingleStream"):
        apply_teacache_hook(other)


def test_a_type_that_contradicts_the_module_is_an_error_that_names_both(module: SingleStream) -> None:
    register_extractor("Linear", lambda *_: None)
    with pytest.raises(ValueError, match="transformer_type is 'Linear', but the module is a SingleStream"):
        apply_teacache_hook(module, TeaCacheConfig(transformer_type="Linear"))
    with pytest.raises(ValueError, match="transformer_type is 'Unknown', but the module is a SingleStream"):
        apply_teacache_hook(module, TeaCacheConfig(coefficients=IDENTITY, transformer_type="Unknown"))


def test_a_specs_type_contradicts_a_class_that_nobody_knows() -> None:
    register_extractor("Other", SingleStreamExtractor())
    with pytest.raises(ValueError, match="transformer_type is 'Other', but the module is a SingleStream"):
        apply_teacache_hook(SingleStream(), TeaCacheConfig(transformer_type="Other"))


def test_ancestors_aliases_and_free_type_strings_do_not_contradict(module: SingleStream) -> None:
    class Derived(SingleStream):
        pass

    register_extractor("Alias", extract_single)
    for subject, given in ((Derived(), "SingleStream"), (module, "Alias"), (module, "SingleStream")):
        apply_teacache_hook(subject, TeaCacheConfig(transformer_type=given))
        assert find_teacache_hook(subject).config.transformer_type == given
        remove_teacache_hook(subject)

    register_extractor("Derived", extract_flux)
    derived = Derived()
    apply_teacache_hook(derived, TeaCacheConfig(transformer_type="SingleStream"))
    assert find_teacache_hook(derived).extractor_fn is extract_single

    class Unheard(nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden

    unheard = Unheard()
    apply_teacache_hook(unheard, TeaCacheConfig(transformer_type="Alias"))
    assert find_teacache_hook(unheard).extractor_fn is extract_single


def test_a_type_with_coefficients_but_no_extractor_is_an_error() -> None:
    with pytest.raises(ValueError, match="no extractor for transformer type 'SingleStream'"):
        apply_teacache_hook(SingleStream(), TeaCacheConfig(coefficients=IDENTITY, transformer_type="SingleStream"))


def test_cache_context_reaches_a_hook_that_came_after_the_first_generation() -> None:
    register_extractor("FluxTransformer2DModel", extract_flux)
    transformer = tiny_flux()
    with transformer.cache_context("warm-up"):
        pass
    registry = transformer._diffusers_hook
    assert getattr(registry, "_child_registries_cache", []) == []  # up to diffusers 0.37 there is no such list
    apply_teacache_hook(transformer)
    assert getattr(registry, "_child_registries_cache", None) is None
    with transformer.cache_context("cond"):
        assert find_teacache_hook(transformer).state_manager.context.name == "cond"
    assert getattr(registry, "_child_registries_cache", []) == []
    remove_teacache_hook(transformer)
    assert "_diffusers_hook" not in vars(transformer)
