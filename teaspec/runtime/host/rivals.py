"""The caches of diffusers: two caches on one transformer would each reuse what the other reused."""

from __future__ import annotations

from typing import Any

from torch import nn

from teaspec.runtime.host.library import ModelHook


def find_rival(module: nn.Module) -> str | None:
    """Returns how diffusers calls the cache that `enable_cache` switched on, or None. Costs next to nothing.

    Args:
        module: The transformer.
    """
    if not getattr(module, "is_cache_enabled", False):
        return None
    return type(getattr(module, "_cache_config", None)).__name__


def find_rival_hook(module: nn.Module, own: type[ModelHook]) -> str | None:
    """Returns the class of a hook that remembers something from call to call, on the module or below it, or None.

    That is how a cache shows that was applied without `enable_cache`. Every submodule is looked at.

    Args:
        module: The transformer.
        own: A class of hooks that is no rival.
    """
    for submodule in module.modules():
        registry: Any = vars(submodule).get("_diffusers_hook")
        for hook in () if registry is None else registry.hooks.values():
            if hook._is_stateful and not isinstance(hook, own):
                return type(hook).__name__
    return None


def refuse_rivals(module: nn.Module, own: type[ModelHook], *, everywhere: bool) -> None:
    """Refuses a call of a transformer that got another cache after its own.

    Args:
        module: The transformer.
        own: The class of its own hook.
        everywhere: Whether to look for caches below the module, too, that were applied without `enable_cache`.

    Raises:
        RuntimeError: If there is one.
    """
    rival = find_rival(module) or (find_rival_hook(module, own) if everywhere else None)
    if rival is not None:
        raise RuntimeError(
            f"this {type(module).__name__} has TeaCache and, since then, a cache of diffusers, {rival}: each would "
            f"reuse what the other reused; call disable_cache() or remove_teacache_hook(module)"
        )
