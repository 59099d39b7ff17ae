"""When a call is: its timestep, or the number of its step where the pipeline gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from teaspec.runtime.contract.arguments import ArgumentFinder
from teaspec.runtime.keep.overwrite import unchanged, version_of
from teaspec.runtime.records import altered

BATCHED = 3
"""Latents of so many axes have rows; packed ones, `[tokens, channels]`, have none."""


@dataclass(frozen=True, eq=False)
class Moment:
    """When a call is.

    Attributes:
        timestep: The argument as it was passed; None where the forward takes none.
        version: Its version counter, where it is a tensor that has one.
        value: A copy of it, for a caller may reuse the tensor.
        level: Its mean, None where it has none. A tensor where it is still on an accelerator: reading it would wait for
            the device, so it is read together with the distance where that is early enough.
        index: The number of the step, None where the pipeline does not give it.
        spread: Whether the rows of the call are at different timesteps; a tensor where that has to be read.
    """

    timestep: Any = None
    version: int | None = None
    value: Any = None
    level: float | torch.Tensor | None = None
    index: int | None = None
    spread: bool | torch.Tensor = False

    @property
    def is_known(self) -> bool:
        """Whether there is anything to tell it by."""
        return self.index is not None or self.timestep is not None

    @property
    def unread(self) -> torch.Tensor | None:
        """The level as long as it is on an accelerator, else None."""
        return self.level if isinstance(self.level, torch.Tensor) else None


def look(
    arguments: ArgumentFinder,
    names: Iterable[str],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    last: Moment | None,
    index: int | None,
    latents: Any = None,
) -> Moment:
    """Returns when a call is, without waiting for an accelerator.

    Args:
        arguments: Knows the parameters of the forward.
        names: Those that may be the timestep; the first that is passed is.
        args: The call's positional arguments.
        kwargs: Its keyword arguments.
        last: When the call before it was.
        index: The number of the step, None where the pipeline does not give it.
        latents: What is denoised: a tensor, or a list with a tensor for each row.
    """
    values = (arguments.find(name, args, kwargs) for name in names)
    timestep = next((value for value in values if value is not None), None)
    if timestep is None:
        return Moment(index=index)
    # The same untouched object needs no comparison.
    if last is not None and timestep is last.timestep and _unchanged_since(timestep, last.version):
        return last if index == last.index else altered(last, index=index)
    if not isinstance(timestep, torch.Tensor):
        level = float(timestep) if isinstance(timestep, (int, float)) else None
        return Moment(timestep, None, timestep, level, index)
    value, spread = timestep.detach().clone(), _spread(timestep, latents)
    mean = value.float().reshape(()) if value.numel() == 1 else value.float().mean()
    if costs_nothing_to_read(mean):
        return Moment(timestep, version_of(timestep), value, mean.item(), index, bool(spread))
    return Moment(timestep, version_of(timestep), value, mean, index, spread)


def is_same(moment: Moment, last: Moment, *, exact: bool) -> bool:
    """Returns whether two calls are at one timestep, or at one step where the pipeline gives its number.

    Args:
        moment: When the call is, its level read.
        last: When the call before it was.
        exact: Whether timesteps with the same mean are compared token by token.
    """
    if moment.index is not None and last.index is not None:
        return moment.index == last.index
    if moment.timestep is None or last.timestep is None:
        return moment.timestep is last.timestep
    if moment.value is last.value or moment.level != last.level:
        return moment.value is last.value
    if isinstance(moment.value, torch.Tensor) != isinstance(last.value, torch.Tensor):
        return moment.level is not None  # a number in one generation and a tensor in the next
    # Comparing two tensors on an accelerator waits for it, so where nothing is counted their means have to do.
    return (moment.level is not None and not exact) or same_value(moment.value, last.value)


def is_rising(before: Moment, now: Moment, *, resized: bool = False) -> bool | None:
    """Returns whether timesteps rise from one call to another, None where that cannot be told.

    Args:
        before: When the one was.
        now: When the other is.
        resized: Whether they are those of other tokens. Tokens that are given have none, so means say nothing then;
            the highest does, where reading it waits for nobody.
    """
    if resized:
        values = (before.value, now.value)
        if not all(isinstance(value, torch.Tensor) and costs_nothing_to_read(value) for value in values):
            return None
        peak_before, peak = (value.max().item() for value in values)
        return None if peak_before == peak else bool(peak > peak_before)
    if not isinstance(before.level, float) or not isinstance(now.level, float) or before.level == now.level:
        return None
    return now.level > before.level


def is_resized(last: Moment | None, moment: Moment) -> bool:
    """Returns whether timesteps are those of tokens, and of others than before."""
    if last is None or not isinstance(last.value, torch.Tensor) or not isinstance(moment.value, torch.Tensor):
        return False
    return is_by_token(moment) and moment.value.shape != last.value.shape


def is_by_token(moment: Moment) -> bool:
    """Returns whether timesteps are those of tokens."""
    return isinstance(moment.value, torch.Tensor) and moment.value.ndim > 1


def turns_back(last: Moment, moment: Moment, rising: bool | None, so_far: bool | None) -> bool:
    """Returns whether a call goes against the direction of its generation.

    Args:
        last: When the call before it was.
        moment: When it is.
        rising: Whether timesteps rise between the two.
        so_far: Whether they did before.
    """
    if moment.index is not None and last.index is not None:
        return moment.index < last.index
    return rising is not None and so_far is not None and rising != so_far


def costs_nothing_to_read(tensor: torch.Tensor) -> bool:
    """Returns whether reading a value waits for nobody."""
    return tensor.device.type == "cpu"


def same_value(value: Any, last: Any) -> bool:
    """Returns whether two values are equal, tensor or not; what has no single answer is not."""
    if isinstance(value, torch.Tensor):
        return isinstance(last, torch.Tensor) and value.device == last.device and torch.equal(value, last)
    try:
        return type(value) is type(last) and bool(value == last)
    except (ValueError, RuntimeError):  # an array, or a list of tensors, has no single answer
        return False


def _spread(timestep: torch.Tensor, latents: Any) -> bool | torch.Tensor:
    """Returns whether rows differ; the tokens of a row may (a first frame that is given has no noise)."""
    if isinstance(latents, torch.Tensor):
        rows = latents.shape[0] if latents.ndim >= BATCHED else 1
    else:
        rows = len(latents) if isinstance(latents, (list, tuple)) else 1
    if rows < 2 or timestep.ndim == 0 or timestep.shape[0] != rows or timestep.stride(0) == 0:
        return False
    if timestep.ndim == 1 and costs_nothing_to_read(timestep):  # a few numbers, soonest compared as such
        first, *others = timestep.tolist()
        return any(other != first for other in others)
    return (timestep != timestep[:1]).any()


def _unchanged_since(timestep: Any, version: int | None) -> bool:
    """Returns whether a timestep is known to be what it was; numbers and strings always are."""
    if isinstance(timestep, torch.Tensor):
        return unchanged(timestep, version)
    return isinstance(timestep, (int, float, str))
