"""The process groups that a call may be shared by: given in the config, or known to whoever made them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch.distributed as dist

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

HOMES = ("vllm_omni.diffusion.distributed.parallel_state", "xfuser.core.distributed")
"""Modules that know the groups of a running process, by functions of the same names."""


def is_group(value: Any) -> bool:
    """Returns whether it is a process group that this process is a member of."""
    return dist.is_available() and isinstance(value, dist.ProcessGroup)


def sequence_group(given: ProcessGroup | None, module: Any) -> ProcessGroup | None:
    """Returns the group whose ranks hold a share of the sequence each, or None where this process holds all of it.

    Args:
        given: The one that the user named.
        module: The transformer, of which it may be found out.
    """
    if given is not None:
        return _several(given)
    context_parallel = context_parallel_config(module)
    if context_parallel is not None:
        return _several(context_parallel._flattened_mesh.get_group())
    return _found("get_sequence_parallel_world_size", "get_sp_group")


def cfg_group(given: ProcessGroup | None, module: Any) -> ProcessGroup | None:
    """Returns the group whose ranks hold a branch each, or None where this process calls all of them.

    Args:
        given: The one that the user named.
        module: The transformer, of which it may be found out.
    """
    if given is not None:
        return _several(given)
    if not is_paired(module):
        return None
    return _found("get_classifier_free_guidance_world_size", "get_cfg_group")


def cfg_rank(given: int | None, group: ProcessGroup | None) -> int | None:
    """Returns this process's rank in the CFG group, or None where there is no group of several.

    Args:
        given: The rank that the user named.
        group: The group that the user named.
    """
    if given is not None:
        return given
    if group is not None:
        group = _several(group)
        return None if group is None else dist.get_rank(group)
    home = _home("get_classifier_free_guidance_world_size")
    return None if home is None else int(home.get_classifier_free_guidance_rank())


def is_paired(module: Any) -> bool:
    """Returns whether the pipeline says that the transformer is called for two branches."""
    # Asked at each call: what a module lacks it looks for in three places, and words an error.
    own: Any = vars(module).get("do_true_cfg")
    return bool(getattr(type(module), "do_true_cfg", False) if own is None else own)


def context_parallel_config(module: Any) -> Any:
    """Returns diffusers' context-parallel config of a module, or None where `enable_parallelism` was not called."""
    return getattr(getattr(module, "_parallel_config", None), "context_parallel_config", None)


def _several(group: ProcessGroup) -> ProcessGroup | None:
    return group if group.size() > 1 else None


def _found(world_size: str, group: str) -> ProcessGroup | None:
    home = _home(world_size)
    found: ProcessGroup | None = None if home is None else getattr(home, group)().device_group
    return found


def _home(world_size: str) -> ModuleType | None:
    """Returns the module that knows a group of several, told by its function of that name."""
    for name in HOMES:
        home = sys.modules.get(name)  # never imported from here: without it there is no such group
        if home is None:
            continue
        try:
            if getattr(home, world_size)() > 1:
                return home
        except AssertionError:  # imported, but no group is initialised
            continue
    return None
