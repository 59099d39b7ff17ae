"""What the blocks of a model were given, returned and left on themselves in one call, as forward hooks see it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from teaspec.proof.compare import named_tensors, same_value
from teaspec.proof.inputs import Arguments

Attributes = Mapping[tuple[str, str], Any]
"""Attributes of a module and of those below it, by path and name."""


@dataclass(frozen=True, eq=False)
class BlockCall:
    """One call of a block.

    Attributes:
        block: Which of them was called.
        args: Its positional arguments as they were when the call began.
        kwargs: Its keyword arguments.
        given: The tensors in both, by place.
        returned: What it returned.
        left: The attributes that the call set, on the block or below it, with what they held behind it.
    """

    block: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    given: Mapping[str, torch.Tensor]
    returned: Any
    left: Attributes


class Recording:
    """Records the calls of blocks, by forward hooks.

    Attributes:
        calls: Those that ended, in their order.
        before: The arguments of the model when the first block began.
        behind: The same when the last one had ended.
    """

    def __init__(self, blocks: Sequence[nn.Module], arguments: Arguments) -> None:
        """Starts recording.

        Args:
            blocks: Whose calls are noted, in this order.
            arguments: Those that the model is called with.
        """
        self.calls: list[BlockCall] = []
        self.before = self.behind = self._arguments = arguments
        self._running: list[tuple[tuple[Any, ...], dict[str, Any], Attributes]] = []
        self._handles = [block.register_forward_pre_hook(self._begin, with_kwargs=True) for block in blocks]
        self._handles += [block.register_forward_hook(self._end) for block in blocks]

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _begin(self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.calls and not self._running:
            self.before = copy.deepcopy(self._arguments)
        self._running.append((*copy.deepcopy((args, kwargs)), attributes_below(block)))

    def _end(self, block: nn.Module, _: Any, returned: Any) -> None:
        args, kwargs, before = self._running.pop()
        self.behind = copy.deepcopy(self._arguments)
        behind = attributes_below(block)
        left = {key: value for key, value in behind.items() if key not in before or not same_value(before[key], value)}
        self.calls.append(BlockCall(block, args, kwargs, tensors_given(args, kwargs), copy.deepcopy(returned), left))


def tensors_given(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Returns the tensors in the arguments of a call, by place."""
    found = [pair for index, value in enumerate(args) for pair in named_tensors(value, str(index))]
    return dict(found + [pair for name, value in kwargs.items() for pair in named_tensors(value, name)])


def attributes_below(module: nn.Module) -> dict[tuple[str, str], Any]:
    """Returns copies of what a module and those below it hold, but for parameters and what `nn.Module` itself keeps."""
    found: dict[tuple[str, str], Any] = {}
    for path, submodule in module.named_modules():
        held = {name: value for name, value in vars(submodule).items() if name not in _OWN and _is_data(value)}
        found.update({(path, name): value for name, value in (*held.items(), *submodule._buffers.items())})
    return copy.deepcopy(found)


def attributes_of_blocks(lists: Sequence[Sequence[nn.Module]]) -> dict[tuple[str, str], Any]:
    """Returns copies of what blocks and the modules below them hold, by list, number and path."""
    return {
        (".".join(filter(None, (f"{row}.{index}", path))), name): value
        for row, blocks in enumerate(lists)
        for index, block in enumerate(blocks)
        for (path, name), value in attributes_below(block).items()
    }


def set_attributes(module: nn.Module, attributes: Attributes) -> None:
    """Sets attributes of a module and of those below it.

    Args:
        module: The uppermost of them.
        attributes: By path and name.
    """
    for (path, name), value in attributes.items():
        setattr(module.get_submodule(path), name, copy.deepcopy(value))


def _is_data(value: Any) -> bool:
    """Returns whether an attribute holds data, and no function or class, which a call has no reason to change."""
    if type(value) in (list, tuple, set):
        return all(map(_is_data, value))
    if type(value) is dict:
        return all(map(_is_data, value.values()))
    return value is None or isinstance(value, (torch.Tensor, int, float, complex, str, bytes))


_OWN = frozenset(vars(nn.Module())) - {"training"} | {"forward", "_diffusers_hook", "_reset_stateful_cache"}
"""What `nn.Module` keeps on every module, and what hooks put there."""
