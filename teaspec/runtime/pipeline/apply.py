"""Switches TeaCache on and off for one transformer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn

from teaspec.runtime.calibrations.registry import find_type
from teaspec.runtime.host.chain import insert_innermost, remove, replaced_forward
from teaspec.runtime.host.library import CacheMixin, forget_child_registries
from teaspec.runtime.host.rivals import find_rival, find_rival_hook
from teaspec.runtime.host.wrappers import unwrapped
from teaspec.runtime.pipeline.plans import tell_plan
from teaspec.runtime.pipeline.refusals import require_module, why_not
from teaspec.runtime.pipeline.thresholds import calibration_of, refuse_preset, settle_threshold
from teaspec.runtime.settings.config import TeaCacheConfig
from teaspec.runtime.step.hook import TeaCacheHook

RESET = "_reset_stateful_cache"


def apply_teacache_hook(
    module: nn.Module, config: TeaCacheConfig | None = None, *, extractor: Callable[..., Any] | None = None
) -> None:
    """Applies TeaCache to a transformer. Hooks that are already there stay, around it.

    Args:
        module: The transformer, also one that `torch.compile` returned or that a wrapper calls:
            DistributedDataParallel, DataParallel with one device, peft's PeftModel.
        config: Settings; None takes the defaults, with everything found out from the module.
        extractor: Used for this module in place of the registered one; None takes the one that is registered for its
            class.

    Raises:
        TypeError: If `module` is no module, or `config` no config.
        ValueError: If the module is already hooked, a cache of diffusers is on, no extractor serves the module, the
            config names another model's type or an unknown variant, or the forward was replaced on this module and the
            extractor is of another one.
    """
    require_module(module)
    if config is not None and not isinstance(config, TeaCacheConfig):
        raise TypeError(f"config must be a TeaCacheConfig or None, found a {type(config).__qualname__}")
    module = unwrapped(module)
    name = type(module).__name__
    if find_teacache_hook(module) is not None:
        raise ValueError(f"TeaCache is already applied to this {name}; call remove_teacache_hook first")
    rival = find_rival(module) or find_rival_hook(module, TeaCacheHook)
    if rival is not None:
        raise ValueError(
            f"this {name} already has a cache of diffusers, {rival}, and TeaCache on top would reuse what that one "
            f"reused; call disable_cache() first"
        )
    if extractor is None and find_type(type(module)) is None and not (config is not None and config.is_type_given):
        raise ValueError(f"TeaCache knows no transformer of class {name}: {why_not(module)}")
    config = config or TeaCacheConfig()
    refuse_preset(config)
    is_replaced = replaced_forward(module) is not None
    hook = TeaCacheHook(config, extractor)
    apply_hook(module, hook)
    if is_replaced and not _is_made_of(hook.extractor_fn, module):
        remove_hook(module, hook)
        raise ValueError(
            f"the forward of this {name} was replaced on the instance, and the extractor is of another one. Put the "
            f"class's own forward back (`del module.forward`), replace it on the class, or pass an extractor that was "
            f"compiled for this module (`compile_spec(spec, module)`)"
        )
    hook.config = settle_threshold(config, hook.config, type(module), extractor)
    tell_plan(hook.config, calibration_of(hook.config, type(module), extractor))


def _is_made_of(extractor: Any, module: nn.Module) -> bool:
    """Returns whether an extractor is made of the code that a module has now; a hand-written one cannot tell."""
    is_current = getattr(extractor, "is_current", None)
    return is_current is not None and is_current(module, replaced_forward)


def remove_teacache_hook(module: nn.Module) -> None:
    """Takes TeaCache off a transformer, which then has its own forward again, and frees what was cached.

    Args:
        module: The transformer.

    Raises:
        ValueError: If TeaCache is not applied to it.
    """
    module = unwrapped(module)
    hook = find_teacache_hook(module)
    if hook is None:
        raise ValueError(f"TeaCache is not applied to this {type(module).__name__}; there is nothing to remove")
    remove_hook(module, hook)


def find_teacache_hook(module: nn.Module) -> TeaCacheHook | None:
    """Returns the module's TeaCache hook, or None.

    Args:
        module: A transformer, or a wrapper of one that is looked through.
    """
    registry = getattr(unwrapped(module), "_diffusers_hook", None)
    return None if registry is None else registry.get_hook(TeaCacheHook._HOOK_NAME)


def apply_hook(module: nn.Module, hook: TeaCacheHook) -> None:
    """Puts a hook around a module's own forward, inside of every hook that is already there."""
    insert_innermost(module, hook, hook._HOOK_NAME)
    if not hasattr(module, RESET):
        # What pipelines call when they end; classes without diffusers' mixin have no such method.
        setattr(module, RESET, functools.partial(CacheMixin._reset_stateful_cache, module))
    forget_child_registries(module)


def remove_hook(module: nn.Module, hook: TeaCacheHook) -> None:
    """Takes a hook off, from wherever it is."""
    remove(module, hook, hook._HOOK_NAME)
    reset = vars(module).get(RESET)
    if isinstance(reset, functools.partial) and reset.func is CacheMixin._reset_stateful_cache:
        delattr(module, RESET)
    forget_child_registries(module)
