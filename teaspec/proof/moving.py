"""Which output of a block goes on with which input, and how far that moves from one call of the model to another.

A block returns its streams changed. Where a stream enters further along, what the block returned has to be as much
further along: that is what it means to add a residual again. Between blocks a forward may permute streams, join or cut
them, so how far one has moved is looked up where it enters a block.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from teaspec.proof.compare import named_tensors
from teaspec.proof.recording import BlockCall

Threads = Mapping[str, frozenset[str]]
"""By output, the inputs of the same list's next block that were given just that."""

_NUDGE = 1e-2
_GOES_ON = 0.5
"""An output that goes on with an input moves as far as that one does, and one that does not has nothing of it: half."""
_ALONG = 0.7
"""What has moved on through a module between two lists points the same way still; two streams have no way in common."""
_SAME = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""Numbers are the same but for the roundings of a difference, as a share of the largest."""


def threads_of(calls: Sequence[BlockCall], rows: Mapping[int, int]) -> dict[int, dict[str, frozenset[str]]]:
    """Finds which outputs are handed from block to block as they are.

    Args:
        calls: The calls of one call of the model.
        rows: The list that each block is in, by its identity.

    Returns:
        Threads by list.
    """
    found: dict[int, dict[str, frozenset[str]]] = {}
    for index, call in enumerate(calls):
        row = rows[id(call.block)]
        later = next((one for one in calls[index + 1 :] if rows[id(one.block)] == row), None)
        if later is None:
            continue
        own = found.setdefault(row, {})
        for name, output in named_tensors(call.returned):
            fitting = (place for place, given in later.given.items() if _fits(given, output))
            same = {place for place in fitting if torch.equal(later.given[place], output)}
            if same:
                own[name] = own.get(name, frozenset()) | same
    return found


def origin_of(call: BlockCall, name: str, output: torch.Tensor, threads: Threads) -> str | None:
    """Finds the input that an output goes on with; None where there is none, as of a hint.

    Args:
        call: The call of the block.
        name: The output.
        output: Its value.
        threads: Those of the block's list.
    """
    fitting = [place for place, given in call.given.items() if _fits(given, output)]
    if name in threads:
        fitting = [place for place in fitting if place in threads[name]]
        if len(fitting) == 1:
            return fitting[0]
    else:
        taken = frozenset[str]().union(*threads.values())
        fitting = [place for place in fitting if place not in taken]
    share = {place: _share(call, place, name) for place in fitting}
    best = max(share, key=share.__getitem__, default=None)
    return best if best is not None and share[best] > _GOES_ON else None


def move_of(now: torch.Tensor, before: torch.Tensor, known: torch.Tensor | None, others: Sequence[Any]) -> torch.Tensor:
    """Returns how far a stream has moved where it enters a block.

    Args:
        now: What enters.
        before: What entered in the other call.
        known: How far it had moved where the block before returned it, None at the first of a list.
        others: How far streams of its shape are known to have moved.

    Returns:
        The difference of the two; but where it is not made of what is known, something was added on the way, and what
        is known stays.
    """
    difference = now.double() - before.double()
    if any(_is_rearranged(difference, other, now.dtype) for other in others):
        return difference
    if known is not None:
        return known
    # A list whose first block is given what another list returned, with something between the two.
    along = [other for other in others if _cosine(difference, other) > _ALONG]
    return along[-1] if along else difference


def changed_tensors(value: Any, change: Callable[[str, torch.Tensor], torch.Tensor], name: str = "output") -> Any:
    """Returns a copy of what a block takes or returns, each tensor replaced.

    Args:
        value: Tensors, and containers of them.
        change: Gives the new tensor for a place and a tensor.
        name: The place of the value.
    """
    if isinstance(value, torch.Tensor):
        return change(name, value)
    if isinstance(value, dict):
        items = {key: changed_tensors(item, change, f"{name}[{key!r}]") for key, item in value.items()}
        return type(value)(items)
    if isinstance(value, (list, tuple)):
        made = [changed_tensors(item, change, f"{name}[{index}]") for index, item in enumerate(value)]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    return copy.deepcopy(value)


def _share(call: BlockCall, place: str, name: str) -> float:
    """Returns how far an output moves along with an input, as a share of how far that one does."""
    before = call.given[place]
    generator = torch.Generator().manual_seed(0)
    way = torch.randn(before.shape, generator=generator).to(before.dtype)

    def nudged(at: str, tensor: torch.Tensor) -> torch.Tensor:
        return tensor + _NUDGE * way if at == place else tensor.clone()

    replayed = vars(call.block).pop("forward", None)
    block = copy.deepcopy(call.block)
    if replayed is not None:
        call.block.forward = replayed
    args = [changed_tensors(value, nudged, str(index)) for index, value in enumerate(call.args)]
    kwargs = {key: changed_tensors(value, nudged, key) for key, value in call.kwargs.items()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        moved = dict(named_tensors(type(block).forward(block, *args, **kwargs)))[name]
    came = (moved - dict(named_tensors(call.returned))[name]).double()
    return float((came * way).sum() / (_NUDGE * way.double().square().sum()))


def _fits(given: torch.Tensor, output: torch.Tensor) -> bool:
    same_form = (given.shape, given.dtype) == (output.shape, output.dtype)
    return same_form and output.numel() > 0 and output.is_floating_point()


def _cosine(tensor: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(tensor.flatten(), other.flatten(), dim=0))


def _is_rearranged(tensor: torch.Tensor, other: torch.Tensor, dtype: torch.dtype) -> bool:
    """Returns whether two tensors hold the same numbers, in whatever order."""
    if tensor.numel() != other.numel():
        return False
    left, right = (one.flatten().sort().values for one in (tensor, other))
    return bool((left - right).abs().max() <= _SAME.get(dtype, 0.0) * max(1.0, float(right.abs().max())))
