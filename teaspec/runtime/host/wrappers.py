"""Modules that stand around a transformer: compiled, distributed, with adapters.

Most of them call the one transformer that they hold, so that a hook on it is a hook on them. Some call copies of it, or
take its parameters away.
"""

from __future__ import annotations

import sys
from typing import Any

from torch import nn

from teaspec.runtime.host.library import unwrap_module


def unwrapped(module: Any) -> Any:
    """Returns what is called in the end where a wrapper is called; whatever is no such wrapper is returned as it is.

    Args:
        module: A module, or anything else.
    """
    inner = _find_called(module)
    while inner is not None:
        module, inner = inner, _find_called(inner)
    return module


def find_obstacle(module: nn.Module) -> str | None:
    """Returns why nothing can be cached through a wrapper, and what to do instead; None for every other module.

    Args:
        module: The wrapper, or any module.
    """
    name = type(module).__name__
    if isinstance(module, nn.DataParallel):  # one that `unwrapped` stops at has several devices
        return (
            f"{name} calls a new copy of the transformer on each device at each call, and a copy remembers nothing. "
            f"Apply TeaCache to `.module` and call that, or run a process for each device (DistributedDataParallel)"
        )
    fsdp = sys.modules.get("torch.distributed.fsdp")
    if fsdp is not None and isinstance(module, fsdp.FullyShardedDataParallel):
        return (
            f"{name} takes the parameters of what it wraps away, where TeaCache would look for them. Shard with "
            f"torch.distributed.fsdp.fully_shard(transformer), which leaves the transformer what it is"
        )
    return None


def _find_called(module: Any) -> Any:
    """The module that a wrapper calls once for each of its own calls, or None."""
    compiled = unwrap_module(module)
    if compiled is not module:
        return compiled
    if isinstance(module, nn.parallel.DistributedDataParallel):
        return module.module
    if isinstance(module, nn.DataParallel) and len(module.device_ids) < 2:
        return module.module
    peft = sys.modules.get("peft")  # never imported from here: without it nothing is wrapped by it
    if peft is not None and isinstance(module, peft.PeftModel):
        return module.get_base_model()
    return None
