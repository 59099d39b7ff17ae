"""Watching a forward for the tensors that the signal must be one of."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from teaspec.proof.compare import named_tensors

if TYPE_CHECKING:
    from teaspec.compiler.forms.spec import Spec


class Watch:
    """The tensors that passed certain places of a forward.

    Attributes:
        block_ran: Whether the first block ran at all; a call may skip it.
    """

    def __init__(self) -> None:
        self.block_ran = False
        self._seen: list[torch.Tensor] = []

    def saw(self, tensor: torch.Tensor) -> bool:
        """Whether an equal tensor passed, bit for bit."""
        return any(
            other.dtype == tensor.dtype and other.shape == tensor.shape and torch.equal(other, tensor)
            for other in self._seen
        )

    def add(self, *values: Any) -> None:
        """Takes note of every tensor in the values, as it is now: a block may write into what it gets."""
        self._seen += [tensor.detach().clone() for value in values for _, tensor in named_tensors(value)]


@contextmanager
def watch_signal(spec: Spec, module: nn.Module) -> Iterator[Watch]:
    """Watches the places where the signal of a spec passes.

    For a modulated input these are the submodules of the first block that are called behind the norm: what the norm
    returns may still be scaled and shifted, and only what arrives at a submodule went through all of that. `attention`
    is what the submodule receives that the norm's path leads to. A signal with a name is what the model's own forward
    has under it when it calls the first block of a loop.

    Args:
        spec: Says which value decides.
        module: The probe.

    Yields:
        What was seen so far.
    """
    watch = Watch()
    loop = max((loop for loop in spec.blocks.loops if spec.norm.startswith(f"{loop}.")), key=len)
    index = spec.norm.removeprefix(f"{loop}.").partition(".")[0]
    block = module.get_submodule(f"{loop}.{index}")
    handles = [block.register_forward_pre_hook(lambda *_: setattr(watch, "block_ran", True))]
    if spec.signal == "norm":
        handles += _behind(module.get_submodule(spec.norm), block, watch)
    elif spec.signal == "attention":
        attention = module.get_submodule(spec.norm)
        handles.append(
            attention.register_forward_pre_hook(lambda _, args, kwargs: watch.add(args, kwargs), with_kwargs=True)
        )
    else:
        first = (next(module.get_submodule(loop).children(), None) for loop in spec.blocks.loops)
        reader = _NameReader(spec, module, watch)
        handles += [other.register_forward_pre_hook(reader.read) for other in first if other is not None]
    try:
        yield watch
    finally:
        for handle in handles:
            handle.remove()


def _behind(norm: nn.Module, block: nn.Module, watch: Watch) -> list[Any]:
    passed: list[bool] = []

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if passed:
            watch.add(args, kwargs)

    handles: list[Any] = [norm.register_forward_hook(lambda *_: passed.append(True))]
    inside = set(norm.modules())
    for submodule in block.modules():
        if submodule is not block and submodule not in inside:
            handles.append(submodule.register_forward_pre_hook(note, with_kwargs=True))
    return handles


class _NameReader:
    """Reads a named signal off the running forward of the model, once."""

    def __init__(self, spec: Spec, module: nn.Module, watch: Watch) -> None:
        self._names = spec.embed.names if spec.embed is not None and spec.signal == "temb" else (spec.signal,)
        self._code = inspect.unwrap(getattr(type(module), spec.forward)).__code__
        self._watch = watch
        self._is_done = False

    def read(self, *_: Any) -> None:
        """Takes note of the signal; the hook in front of a block."""
        frame = sys._getframe()
        while frame.f_back is not None and frame.f_code is not self._code:
            frame = frame.f_back
        values = (frame.f_locals.get(name) for name in self._names)
        if not self._is_done:
            self._watch.add(next((value for value in values if value is not None), None))
        self._is_done = True
