"""Puts a hook at the innermost place of a module's forward, and takes it out from wherever it is.

A hook that replaces the forward must sit right around the model's own forward: what sits inside of it never runs. A
hook registered last is outermost, so with diffusers' registry alone an offloading or casting hook that was there before
would be skipped, and accelerate, which puts back the forward that it remembers, would drop ours without a word.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from torch import nn

from teaspec.runtime.host.library import HookRegistry, ModelHook


class _Entry:
    """What diffusers' registry puts around a hook, as an object: its own function can be neither copied nor pickled.

    A copy of a module would go on calling the hook, and with it the weights, of the module that it was copied from.
    """

    def __init__(self, fn_ref: Any) -> None:
        self.fn_ref = fn_ref

    @property
    def __code__(self) -> Any:
        # What torch.export asks for first, and would end in a sentence about this class.
        raise AttributeError(
            "this module has TeaCache, which decides in Python at each step whether the blocks run: it cannot be "
            "exported or scripted so; to do that, take TeaCache off first: teaspec.disable(module)"
        )

    def __call__(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = self.fn_ref.pre_forward(module, *args, **kwargs)
        return self.fn_ref.post_forward(module, self.fn_ref.forward(*args, **kwargs))


@dataclass(frozen=True)
class _Slot:
    """A place that holds a forward: an attribute of the module or of a function reference of the registry."""

    owner: Any
    name: str

    def get(self) -> Any:
        return getattr(self.owner, self.name)

    def set(self, forward: Any) -> None:
        setattr(self.owner, self.name, forward)


def insert_innermost(module: nn.Module, hook: ModelHook, name: str) -> None:
    """Registers a hook with diffusers' registry, inside of every hook that the module already has."""
    is_first = "_diffusers_hook" not in vars(module)
    registry = HookRegistry.check_if_exists_or_initialize(module)
    slot = _find_innermost(module, registry) or _Slot(module, "forward")
    inner, outer = slot.get(), vars(module).get("forward")
    module.forward = inner
    try:
        registry.register_hook(hook, name)
    except BaseException:
        _put_back(module, outer)
        if is_first:
            del module._diffusers_hook
        raise
    _put_back(module, outer)
    slot.set(functools.update_wrapper(functools.partial(_Entry(hook.fn_ref), module), inner))
    # The registry lists hooks from the inside out, and relinks its neighbours by that order.
    registry._hook_order.insert(0, registry._hook_order.pop())
    registry._fn_refs.insert(0, registry._fn_refs.pop())


def remove(module: nn.Module, hook: ModelHook, name: str) -> None:
    """Takes a hook out; whatever else wraps the forward stays."""
    registry = HookRegistry.check_if_exists_or_initialize(module)
    fn_ref = hook.fn_ref
    original = fn_ref.original_forward
    for slot in _slots(module, registry):
        if _is_wrapper_of(slot.get(), module, fn_ref):
            slot.set(original)
    # Whoever still holds our wrapper, a wrapper of somebody's own say, gets the original forward through it.
    fn_ref.forward = original
    if _is_own_forward(vars(module).get("forward"), module):
        del module.forward
    registry._hook_order.remove(name)
    registry._fn_refs.remove(fn_ref)
    del registry.hooks[name]
    hook.deinitalize_hook(module)
    if not registry.hooks:
        del module._diffusers_hook


def replaced_forward(module: nn.Module) -> Any:
    """Returns the forward that somebody set on the instance in place of its class's, or None."""
    slot = _find_innermost(module, vars(module).get("_diffusers_hook"))
    forward = vars(module).get("forward") if slot is None else slot.get()
    return None if forward is None or _is_own_forward(forward, module) else forward


def _put_back(module: nn.Module, forward: Any) -> None:
    """Has the module the forward of its own that it had before, or none."""
    if forward is None:
        del module.forward
    else:
        module.forward = forward


def _slots(module: nn.Module, registry: HookRegistry) -> list[_Slot]:
    slots = [_Slot(module, name) for name in ("forward", "_old_forward") if name in vars(module)]
    return slots + [_Slot(ref, name) for ref in registry._fn_refs for name in ("forward", "original_forward")]


def _find_innermost(module: nn.Module, registry: HookRegistry | None) -> _Slot | None:
    """Returns the place that holds the forward which no hook made, or None where that is the module itself."""
    candidates = []
    if registry is not None and registry._fn_refs:
        first = registry._fn_refs[0]
        candidates.append(_Slot(first, "forward" if first.original_forward is None else "original_forward"))
    if "_old_forward" in vars(module):  # accelerate's
        candidates.append(_Slot(module, "_old_forward"))
    return next((slot for slot in candidates if not _is_wrapper(slot.get(), module)), None)


def _is_wrapper(forward: Any, module: nn.Module) -> bool:
    """Returns whether diffusers or accelerate made this forward: both bind the module with `functools.partial`."""
    return isinstance(forward, functools.partial) and bool(forward.args) and forward.args[0] is module


def _is_wrapper_of(forward: Any, module: nn.Module, fn_ref: Any) -> bool:
    """Returns whether this is the forward that was made for the hook with the given function reference."""
    return _is_wrapper(forward, module) and getattr(forward.func, "fn_ref", None) is fn_ref


def _is_own_forward(forward: Any, module: nn.Module) -> bool:
    return getattr(forward, "__func__", None) is type(module).forward and forward.__self__ is module
