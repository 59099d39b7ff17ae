"""Parts of a module's forward that run by themselves, with the module's weights where its forward would find them.

Offloading, casting and sharding fetch a module's weights when its forward begins, and put them away when it ends. A
part of the forward that is called by itself, as the norm of the first block is, would find them elsewhere: on another
device, in a narrow dtype, or in shards.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from teaspec.runtime.host.library import GroupOffloadingHook, LayerwiseCastingHook

Before = Callable[..., tuple[Any, Any]]
"""Fetches weights; takes the part's arguments, and returns them as it wants them: on another device, say."""

After = Callable[[Any], Any]
"""Puts weights away; takes what the part returned, and returns it as it wants it."""


def with_weights(part: Callable[..., Any]) -> Callable[..., Any]:
    """Has a function find a module's weights as the module's forward does, whatever keeps them.

    Group offloading and layerwise casting of diffusers, the hooks of accelerate and FSDP2 are known. Nothing else that
    is attached to the module runs: what watches its forward is not shown a part of it.

    Args:
        part: Called with a module first; what it is decorated for is that module's own weights.
    """

    @functools.wraps(part)
    def run(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        keepers = tuple(_keepers_of(module))
        for before, _ in keepers:
            args, kwargs = before(*args, **kwargs)
        output = part(module, *args, **kwargs)
        for _, after in reversed(keepers):
            output = after(output)
        return output

    return run


def _keepers_of(module: nn.Module) -> Iterator[tuple[Before, After]]:
    attached = vars(module)
    if "_hf_hook" in attached:
        yield from _of_accelerate(module, attached["_hf_hook"])
    if "_diffusers_hook" in attached:
        yield from _of_diffusers(module, attached["_diffusers_hook"])
    sharding = sys.modules.get("torch.distributed.fsdp")  # never imported from here: without it nothing is sharded
    if sharding is not None and isinstance(module, sharding.FSDPModule):
        yield _sharded(module)


def _of_accelerate(module: nn.Module, hook: Any) -> Iterator[tuple[Before, After]]:
    hooks = sys.modules["accelerate.hooks"]
    for one in getattr(hook, "hooks", (hook,)):  # several are one that holds them
        if isinstance(one, (hooks.AlignDevicesHook, hooks.CpuOffload)):
            yield functools.partial(one.pre_forward, module), functools.partial(one.post_forward, module)


def _of_diffusers(module: nn.Module, registry: Any) -> Iterator[tuple[Before, After]]:
    # The registry lists hooks from the inside out.
    for hook in reversed([registry.hooks[name] for name in registry._hook_order]):
        if isinstance(hook, GroupOffloadingHook):
            yield functools.partial(hook.pre_forward, module), functools.partial(_offloaded, hook)
        elif isinstance(hook, LayerwiseCastingHook):
            yield functools.partial(hook.pre_forward, module), functools.partial(hook.post_forward, module)


def _offloaded(hook: GroupOffloadingHook, output: Any) -> Any:
    # The hook itself waits for the last module of the group, which a reused step never runs.
    hook.group.offload_()
    return output


def _sharded(module: Any) -> tuple[Before, After]:
    def gather(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        module.unshard()
        return args, kwargs

    def shard(output: Any) -> Any:
        module.reshard()
        return output

    return gather, shard
