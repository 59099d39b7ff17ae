"""Watching a forward for the tensors that the signal must be one of."""

from __future__ import annotations

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
    returns may still be scaled and shifted, and only what arrives at a submodule went through all of that. For any
    other signal they are the output of the embedding and the input of the first block.

    Args:
        spec: The spec.
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
    else:
        handles.append(
            block.register_forward_pre_hook(lambda _, args, kwargs: watch.add(args, kwargs), with_kwargs=True)
        )
        embedding = dict(module.named_modules()).get(spec.embed.call) if spec.embed else None
        if embedding is not None:
            handles.append(embedding.register_forward_hook(lambda _, args, output: watch.add(output)))
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
