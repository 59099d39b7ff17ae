from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook as AccelerateHook
from accelerate.hooks import add_hook_to_module, remove_hook_from_module
from diffusers.hooks import HookRegistry, ModelHook
from torch import nn

from teaspec import TeaCacheConfig, apply_teacache_hook, register_extractor, remove_teacache_hook
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.models import WIDTH, SingleStream, extract_single

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]
HIDDEN, SIGNAL = torch.ones(1, 2, WIDTH), torch.ones(1, WIDTH)


@pytest.fixture
def module() -> SingleStream:
    register_extractor("SingleStream", extract_single)
    return SingleStream()


class Doubling(ModelHook):
    """Doubles what goes in and what comes out, so that a hook that is skipped shows."""

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return (args[0] * 2, *args[1:]), kwargs

    def post_forward(self, module: nn.Module, output: Any) -> Any:
        return output * 2


class Replacing(ModelHook):
    """Replaces the forward and calls the one that was there."""

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self.fn_ref.original_forward(args[0] * 3, *args[1:], **kwargs)


class DoublingAccelerate(AccelerateHook):
    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return (args[0] * 2, *args[1:]), kwargs

    def post_forward(self, module: nn.Module, output: Any) -> Any:
        return output * 2


def add_doubling(module: nn.Module) -> None:
    HookRegistry.check_if_exists_or_initialize(module).register_hook(Doubling(), "doubling")


def add_replacing(module: nn.Module) -> None:
    HookRegistry.check_if_exists_or_initialize(module).register_hook(Replacing(), "replacing")


def add_accelerate(module: nn.Module) -> None:
    add_hook_to_module(module, DoublingAccelerate())


OTHERS = {"doubling": add_doubling, "replacing": add_replacing, "accelerate": add_accelerate}


def run(module: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return module(HIDDEN, SIGNAL)


def unhooked_forward(module: nn.Module, others: tuple[str, ...]) -> torch.Tensor:
    """What the same module returns with the same other hooks, and no TeaCache."""
    plain = SingleStream()
    plain.load_state_dict(module.state_dict())
    for other in others:
        OTHERS[other](plain)
    return run(plain)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("doubling",), ()),
        ((), ("doubling",)),
        (("replacing",), ()),
        ((), ("replacing",)),
        (("accelerate",), ()),
        ((), ("accelerate",)),
        (("accelerate", "doubling"), ("replacing",)),
        (("doubling", "accelerate"), ()),
        (("doubling",), ("accelerate",)),
        (("replacing", "doubling"), ("accelerate",)),
        (("accelerate",), ("doubling",)),
    ],
)
def test_other_hooks_run_around_it_whenever_they_came(
    module: SingleStream, before: tuple[str, ...], after: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    for other in before:
        OTHERS[other](module)
    signature = inspect.signature(module.forward)
    apply_teacache_hook(module, TeaCacheConfig(coefficients=IDENTITY))
    assert caplog.records == []
    for other in after:
        OTHERS[other](module)
    expected = unhooked_forward(module, before + after)
    assert torch.equal(run(module), expected)
    assert torch.allclose(run(module), expected)
    assert [decision.decision for decision in find_teacache_hook(module).decisions] == ["compute", "reuse"]
    assert module.steps_computed == 1
    assert inspect.signature(module.forward) == signature

    remove_teacache_hook(module)
    assert torch.equal(run(module), expected)
    assert module.steps_computed == 2
    places = [getattr(module, "_old_forward", None)]
    if {*before, *after} == {"accelerate"}:
        assert "_diffusers_hook" not in vars(module)
    else:
        registry = module._diffusers_hook
        assert set(registry.hooks) == set(registry._hook_order) == {*before, *after} - {"accelerate"}
        places += [forward for ref in registry._fn_refs for forward in (ref.original_forward or ref.forward,)]
    # Exactly one place holds the model's own forward again, and our wrapper is in none of them.
    assert [getattr(place, "__func__", None) for place in places].count(SingleStream.forward) == 1


@pytest.mark.parametrize("first", ["doubling", "accelerate"])
def test_removing_the_other_hook_first_leaves_teacache_at_work(module: SingleStream, first: str) -> None:
    OTHERS[first](module)
    apply_teacache_hook(module, TeaCacheConfig(coefficients=IDENTITY))
    if first == "doubling":
        module._diffusers_hook.remove_hook("doubling")
    else:
        # What a pipeline with model offloading does at the end of each call.
        remove_hook_from_module(module)
    assert torch.equal(run(module), unhooked_forward(module, ()))
    run(module)
    assert module.steps_computed == 1
    remove_teacache_hook(module)
    assert module.forward.__func__ is SingleStream.forward


def test_a_failed_application_leaves_other_hooks_as_they_were() -> None:
    module = SingleStream()
    add_doubling(module)
    before, expected = module.forward, run(module)
    with pytest.raises(ValueError, match="knows no transformer"):
        apply_teacache_hook(module)
    assert module.forward is before
    assert torch.equal(run(module), expected)
    assert module._diffusers_hook._hook_order == ["doubling"]


def test_a_wrapper_that_holds_the_hooked_forward_gets_the_original_after_removal(module: SingleStream) -> None:
    apply_teacache_hook(module, TeaCacheConfig(coefficients=IDENTITY))
    inner = module.forward

    @functools.wraps(inner)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    module.forward = wrapper
    remove_teacache_hook(module)
    for expected in (1, 2):
        assert torch.equal(run(module), unhooked_forward(module, ()))
        assert module.steps_computed == expected
    assert module.forward is wrapper


def test_a_forward_that_somebody_replaced_is_not_dropped_for_a_hand_written_extractor(module: SingleStream) -> None:
    module.forward = replaced = lambda hidden_states, signal: hidden_states
    with pytest.raises(ValueError, match="was replaced on the instance"):
        apply_teacache_hook(module, TeaCacheConfig(coefficients=IDENTITY))
    assert module.forward is replaced and "_diffusers_hook" not in vars(module)
    assert run(module) is HIDDEN
