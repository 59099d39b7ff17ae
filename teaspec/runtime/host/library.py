"""What the runtime takes from diffusers, and all that differs between its versions.

Each difference is asked for by the thing itself, never by a number: a version that brings it early, or late, is
understood all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teaspec.versions.supported import require_supported

require_supported()  # ahead of the imports that an unsupported version answers in words of its own

from diffusers.hooks.group_offloading import GroupOffloadingHook
from diffusers.hooks.hooks import HookRegistry, ModelHook, StateManager
from diffusers.hooks.layerwise_casting import LayerwiseCastingHook
from diffusers.models.cache_utils import CacheMixin
from diffusers.utils.torch_utils import unwrap_module

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "ENDS_CONTEXTS",
    "CacheContext",
    "CacheMixin",
    "GroupOffloadingHook",
    "HookRegistry",
    "LayerwiseCastingHook",
    "ModelHook",
    "StateManager",
    "as_context",
    "cache_context",
    "forget_child_registries",
    "split_sequence",
    "unwrap_module",
]

try:
    from diffusers.hooks.hooks import CacheContext
except ImportError:

    @dataclass(frozen=True)
    class CacheContext:  # type: ignore[no-redef]
        """What `cache_context` says about a call; before it existed, a pipeline gave its branch's name alone."""

        name: str
        step_index: int | None = None
        num_inference_steps: int | None = None
        timestep: Any = None
        sigma: float | None = None

    ENDS_CONTEXTS = False
    """Whether `cache_context` is left when the call in it fails."""
else:
    ENDS_CONTEXTS = True


def as_context(given: Any) -> CacheContext | None:
    """Returns what a state manager is given as a context: as it is, made of the bare name of older versions, or None.

    Args:
        given: A `CacheContext`, a name, or None outside of any.
    """
    return CacheContext(given) if isinstance(given, str) else given


@contextmanager
def cache_context(module: nn.Module, name: str, **place: Any) -> Iterator[None]:
    """`module.cache_context`, also of a class without the mixin, and with `place` where diffusers takes a name alone.

    Args:
        module: The transformer. Where diffusers takes a name alone, only this package's hooks understand more.
        name: The branch.
        **place: Fields of `CacheContext`.

    Yields:
        Nothing.
    """
    if ENDS_CONTEXTS:
        with CacheMixin.cache_context(module, name, **place):
            yield
        return
    registry: Any = HookRegistry.check_if_exists_or_initialize(module)
    registry._set_context(CacheContext(name, **place))
    try:
        yield
    finally:
        registry._set_context(None)


def forget_child_registries(module: nn.Module) -> None:
    """Has diffusers look again for hooks below the module, where it keeps a list of them.

    Args:
        module: The transformer.
    """
    registry: Any = getattr(module, "_diffusers_hook", None)
    if hasattr(registry, "invalidate_child_registries_cache"):
        registry.invalidate_child_registries_cache()
    elif hasattr(registry, "_child_registries_cache"):  # the list came before the way to forget it
        registry._child_registries_cache = None


def split_sequence(tensor: Any, axis: int, config: Any) -> Any:
    """Returns this rank's share of a tensor, as diffusers' context parallelism makes it.

    Args:
        tensor: The whole.
        axis: Where it is shared out.
        config: The context-parallel config; a version without context parallelism has none.

    Raises:
        AssertionError: If it cannot be shared out evenly.
    """
    from diffusers.hooks.context_parallel import ContextParallelSplitHook
    from diffusers.models._modeling_parallel import ContextParallelInput

    return ContextParallelSplitHook({}, config)._prepare_cp_input(tensor, ContextParallelInput(axis))
