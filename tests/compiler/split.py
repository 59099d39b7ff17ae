"""Runs a forward whole and cut, and tells whether one can be told from the other."""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

from teaspec.runtime.contract.context import CacheContext, Finished
from tests.toys.toy import Call

Extractor = Any
_MODULE_INTERNALS = frozenset(nn.Module().__dict__) | {"_modules", "_parameters", "_buffers"}


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal in type and, down to the last bit, in content."""
    if type(left) is not type(right):
        return False
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and left.shape == right.shape and torch.equal(left, right)
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right, strict=True))
    if isinstance(left, float):
        return math.copysign(1, left) == math.copysign(1, right) and (left == right or left != left)
    if dataclasses.is_dataclass(left):
        return all(same(getattr(left, item.name), getattr(right, item.name)) for item in dataclasses.fields(left))
    if type(left).__eq__ is object.__eq__ and hasattr(left, "__dict__") and not isinstance(left, type):
        return same(vars(left), vars(right))
    return bool(left == right)


def alike(left: Any, right: Any) -> bool:
    """Whether two values agree in types, shapes and dtypes."""
    if type(left) is not type(right):
        return False
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and left.shape == right.shape
    if isinstance(left, dict):
        return list(left) == list(right) and all(alike(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(alike(*pair) for pair in zip(left, right, strict=True))
    return True


@dataclass(frozen=True)
class Outcome:
    """All that can be seen of one call from outside."""

    result: Any
    error: tuple[type[BaseException], tuple[Any, ...]] | None
    arguments: Any
    state: dict[str, Any]
    random: torch.Tensor
    warnings: list[tuple[type[Warning], str]]

    def differences(self, other: Outcome) -> list[str]:
        """The names of what differs."""
        names = [item.name for item in dataclasses.fields(self)]
        return [name for name in names if not same(getattr(self, name), getattr(other, name))]


def _state(module: nn.Module) -> dict[str, Any]:
    state: dict[str, Any] = {name: value.detach().clone() for name, value in module.state_dict(keep_vars=True).items()}
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if name not in _MODULE_INTERNALS:
                state[f"{path}.{name}"] = _copied(value) if isinstance(value, torch.Tensor) else copy.deepcopy(value)
    return state


def observe(module: nn.Module, call: Call, run: Callable[..., Any]) -> Outcome:
    """Calls `run(module, args, kwargs)` with fresh arguments and a known random state, and writes down what it did."""
    call = call.fresh()
    result, error = None, None
    torch.manual_seed(7)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = run(module, call.args, call.kwargs)
        except Exception as exception:  # whatever the forward raises, the cut forward has to raise
            error = (type(exception), exception.args)
    seen = [(warning.category, str(warning.message)) for warning in caught]
    return Outcome(result, error, (call.args, call.kwargs), _state(module), torch.get_rng_state(), seen)


def forward(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The model's own forward."""
    return module(*args, **kwargs)


def live_entries(context: CacheContext) -> dict[str, torch.Tensor | None]:
    """What crosses beside the hidden stream, with the entry tensor of those that are streams."""
    return dict((context.extra_states or {}).get("live", {}))


def finish(context: CacheContext, outputs: tuple[Any, ...]) -> Any:
    """Runs the postlude on what the blocks returned."""
    return context.postprocess(outputs[0], *(outputs[1:] if live_entries(context) else ()))


def compute(context: CacheContext | Finished) -> Any:
    """A computed step."""
    if isinstance(context, Finished):
        return context.value
    return finish(context, context.run_transformer_blocks())


def entered(extractor: Extractor, drive: Callable[[CacheContext | Finished], Any] = compute) -> Callable[..., Any]:
    """The cut forward, as the hook runs it."""
    return lambda module, args, kwargs: extractor.enter(module, args, kwargs, drive)


def called(extractor: Extractor) -> Callable[..., Any]:
    """The cut forward, as a caller of the bare extractor runs it."""
    return lambda module, args, kwargs: compute(extractor(module, *args, **kwargs))


@dataclass
class Computed:
    """What a computed step leaves for reused ones."""

    finished: bool = False
    outputs: tuple[Any, ...] = ()
    residual: torch.Tensor | None = None
    live: tuple[Any, ...] = ()


def _copied(value: Any) -> Any:
    """A copy that the postlude cannot change, as the hook keeps one."""
    return tree_map(lambda leaf: _cloned(leaf) if isinstance(leaf, torch.Tensor) else leaf, value)


def _cloned(tensor: torch.Tensor) -> torch.Tensor:
    """A copy with the same strides: over others, a mean is rounded otherwise."""
    made = tensor.detach().new_empty(0)
    storage = tensor.detach().untyped_storage().clone()
    return made.set_(storage, tensor.storage_offset(), tensor.shape, tensor.stride())


def remember(computed: Computed) -> Callable[[CacheContext | Finished], Any]:
    """A computed step that keeps residuals and carried values as the hook does."""

    def drive(context: CacheContext | Finished) -> Any:
        if isinstance(context, Finished):
            computed.finished = True
            return context.value
        entry, entries = _copied(context.hidden_states), _copied(tuple(live_entries(context).values()))
        outputs = context.run_transformer_blocks()
        computed.outputs = _copied(outputs)
        if outputs[0].shape == entry.shape:
            computed.residual = computed.outputs[0] - entry
        values = computed.outputs[1 : len(entries) + 1]
        computed.live = tuple(
            value - stream if isinstance(stream, torch.Tensor) else value
            for stream, value in zip(entries, values, strict=True)
        )
        return finish(context, outputs)

    return drive


def replay(computed: Computed) -> Callable[[CacheContext | Finished], Any]:
    """A step without blocks that is handed the block outputs of the computed one: it has to give the same result.

    A stream beside the hidden one that the blocks left alone there is this call's: nothing was added to it.
    """

    def drive(context: CacheContext | Finished) -> Any:
        if isinstance(context, Finished):
            return context.value
        first, *others = _copied(computed.outputs)
        entries = live_entries(context).values()
        live = [
            entry if isinstance(entry, torch.Tensor) and not moved.any() else value
            for entry, moved, value in zip(entries, computed.live, others, strict=False)
        ]
        return finish(context, (first, *live, *others[len(live) :]))

    return drive


def reuse(computed: Computed) -> Callable[[CacheContext | Finished], Any]:
    """A reused step: the entry streams of this call and the residuals of the computed one."""

    def drive(context: CacheContext | Finished) -> Any:
        if isinstance(context, Finished):
            return context.value
        values = [
            entry + value if isinstance(entry, torch.Tensor) else value
            for entry, value in zip(live_entries(context).values(), _copied(computed.live), strict=True)
        ]
        return finish(context, (context.hidden_states + computed.residual, *values))

    return drive


def at_another_time(module: nn.Module, lists: Sequence[nn.Module], first: Call, later: Call) -> Outcome:
    """What the forward does at a later call, where each block returns what it returned at the first.

    This knows nothing of the compiler: whatever does not pass through a block is the later call's.
    """
    blocks = [block for blocks in lists for block in blocks.children()]
    returned: list[Any] = []
    handles = [block.register_forward_hook(lambda _, __, output: returned.append(_copied(output))) for block in blocks]
    before = {name: value for name, value in vars(module).items() if name not in _MODULE_INTERNALS}
    observe(module, first, forward)
    for handle in handles:
        handle.remove()
    forget(module, before)
    outputs = iter(returned)
    handles = [block.register_forward_hook(lambda *_: _copied(next(outputs))) for block in blocks]
    try:
        return observe(module, later, forward)
    finally:
        for handle in handles:
            handle.remove()


def forget(module: nn.Module, attributes: Mapping[str, Any]) -> None:
    """Gives a module back the attributes of its own that it had, and no others."""
    for name in [name for name in vars(module) if name not in _MODULE_INTERNALS]:
        delattr(module, name)
    vars(module).update(copy.deepcopy(dict(attributes)))


@contextmanager
def recorded(module: nn.Module) -> Iterator[list[str]]:
    """Writes down the calls of submodules, outermost ones only, by path."""
    calls: list[str] = []
    depth = [0]

    def before(path: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            if depth[0] == 0:
                calls.append(path)
            depth[0] += 1

        return hook

    def after(*_: Any) -> None:
        depth[0] -= 1

    handles = []
    for path, part in module.named_modules():
        if path:
            handles.append(part.register_forward_pre_hook(before(path)))
            handles.append(part.register_forward_hook(after, always_call=True))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
