"""Tells calls apart by when they are: which branch, and whether a new generation began.

A pipeline may name its CFG passes and reset at the end of a call, or not; it may be interrupted and never get to its
reset. The timestep tells what it does not: the k-th call at one timestep is branch k, and a timestep that moves against
the direction of the generation so far begins a new one. Where the pipeline gives the number of the step, that counts
instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from teaspec.runtime.contract.arguments import ArgumentFinder
from teaspec.runtime.keep.overwrite import unchanged, version_of

TIMESTEP_NAMES = ("timestep", "timesteps", "t", "time", "sigma", "sigmas")

PAIR = ("positive", "negative")
"""The branches of a transformer with `do_true_cfg`, in the order in which they are called."""


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
    """

    timestep: Any = None
    version: int | None = None
    value: Any = None
    level: float | torch.Tensor | None = None
    index: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is anything to tell it by."""
        return self.index is not None or self.timestep is not None

    @property
    def unread(self) -> torch.Tensor | None:
        """The level as long as it is on an accelerator, else None."""
        return self.level if isinstance(self.level, torch.Tensor) else None


@dataclass(frozen=True, eq=False)
class Position:
    """A call's place in its generation.

    Attributes:
        moment: When it is.
        branch: Its branch.
        here: The branches of the calls at this moment so far, its own last.
        moments: How many moments the generation has had, this one included.
        rising: Whether timesteps rise in this generation; None until two have been seen.
        restarts: Whether it begins a new generation.
        image: The forward's first argument at the generation's first call, where calls are counted.
        unsure: Whether calls at the first moment were about several images: passes of one generation, or the first
            calls of several.
    """

    moment: Moment
    branch: str
    here: tuple[str, ...]
    moments: int = 1
    rising: bool | None = None
    restarts: bool = False
    image: torch.Tensor | None = None
    unsure: bool = False


def look(
    arguments: ArgumentFinder, args: tuple[Any, ...], kwargs: Mapping[str, Any], last: Moment | None, index: int | None
) -> Moment:
    """Returns when a call is, without waiting for an accelerator.

    Args:
        arguments: Knows the parameters of the forward.
        args: The call's positional arguments.
        kwargs: Its keyword arguments.
        last: When the call before it was.
        index: The number of the step, None where the pipeline does not give it.
    """
    values = (arguments.find(name, args, kwargs) for name in TIMESTEP_NAMES)
    timestep = next((value for value in values if value is not None), None)
    if timestep is None:
        return Moment(index=index)
    # The same untouched object needs no comparison.
    if last is not None and timestep is last.timestep and _unchanged_since(timestep, last.version):
        return replace(last, index=index)
    if not isinstance(timestep, torch.Tensor):
        level = float(timestep) if isinstance(timestep, (int, float)) else None
        return Moment(timestep, None, timestep, level, index)
    value = timestep.detach().clone()
    mean = value.float().mean()
    return Moment(timestep, version_of(timestep), value, mean.item() if costs_nothing_to_read(mean) else mean, index)


@dataclass(frozen=True, eq=False)
class Call:
    """What is known of a call before it is cut.

    Attributes:
        moment: When it is.
        branch: The name of its branch; None has the call counted.
        paired: Whether calls without a name alternate between the two of `PAIR`.
        again: Whether the call before it failed, and this one does not repeat it.
        image: The forward's first argument, None where it is no tensor.
        total: Steps of the generation, as far as the pipeline tells it.
    """

    moment: Moment
    branch: str | None = None
    paired: bool = False
    again: bool = False
    image: torch.Tensor | None = None
    total: int | None = None

    def at(self, level: float | None) -> Call:
        """Returns the call with the level of its moment read."""
        return replace(self, moment=replace(self.moment, level=level))


def costs_nothing_to_read(tensor: torch.Tensor) -> bool:
    """Returns whether reading a value waits for nobody."""
    return tensor.device.type == "cpu"


def place(last: Position | None, call: Call) -> Position:
    """Returns a call's place behind the calls so far.

    Args:
        last: The place of the last call that succeeded, None at the beginning.
        call: The call, the level of its moment read.
    """
    if last is None:
        return begin(call)
    moment, branch, paired = call.moment, call.branch, call.paired
    same = _is_same(moment, last.moment, exact=branch is None)
    rising = None if same else _rising(last.moment.level, moment.level)
    here = last.here if same and moment.is_known else ()
    name = _counted(_number(last, moment, here), paired) if branch is None else branch
    # At later moments a repetition means nothing: solvers of higher order call a branch twice, but not at the first.
    repeats = last.moments == 1 and (name in here or (bool(here) and call.again and branch is None))
    if repeats or (last.unsure and not same) or _turns_back(last, moment, rising):
        return replace(begin(call), restarts=True, unsure=last.unsure and same)
    return Position(
        moment=moment,
        branch=name,
        here=(*here, name),
        moments=last.moments + (not same),
        rising=last.rising if rising is None else rising,
        image=last.image if same else None,
        unsure=last.unsure or (bool(here) and last.moments == 1 and branch is None and not _shows(call, last.image)),
    )


def begin(call: Call) -> Position:
    """Returns the place of a generation's first call."""
    if call.branch is not None:
        return Position(call.moment, call.branch, (call.branch,))
    name = _counted(0, call.paired)
    return Position(call.moment, name, (name,), image=None if call.image is None else call.image.detach().clone())


def _shows(call: Call, image: torch.Tensor | None) -> bool:
    """Returns whether a call is about an image; without one there is nothing to doubt."""
    return image is None or call.image is None or _same(call.image, image)


def _number(last: Position, moment: Moment, here: tuple[str, ...]) -> int:
    """Returns how many calls at this moment came before; without a timestep only a pair can be told apart."""
    return len(here) if moment.is_known else int(last.branch == PAIR[0])


def _counted(number: int, paired: bool) -> str:
    return PAIR[number % 2] if paired else f"#{number}"


def _turns_back(last: Position, moment: Moment, rising: bool | None) -> bool:
    if moment.index is not None and last.moment.index is not None:
        return moment.index < last.moment.index
    return rising is not None and last.rising is not None and rising != last.rising


def _is_same(moment: Moment, last: Moment, *, exact: bool) -> bool:
    if moment.index is not None and last.index is not None:
        return moment.index == last.index
    if moment.timestep is None or last.timestep is None:
        return moment.timestep is last.timestep
    if moment.value is last.value or moment.level != last.level:
        return moment.value is last.value
    # Comparing two tensors on an accelerator waits for it, so where nothing is counted their means have to do.
    return (moment.level is not None and not exact) or _same(moment.value, last.value)


def _unchanged_since(timestep: Any, version: int | None) -> bool:
    """Returns whether a timestep is known to be what it was; numbers and strings always are."""
    if isinstance(timestep, torch.Tensor):
        return unchanged(timestep, version)
    return isinstance(timestep, (int, float, str))


def _rising(before: float | torch.Tensor | None, now: float | torch.Tensor | None) -> bool | None:
    return None if before is None or now is None or before == now else bool(now > before)


def _same(value: Any, last: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return isinstance(last, torch.Tensor) and value.device == last.device and torch.equal(value, last)
    try:
        return type(value) is type(last) and bool(value == last)
    except (ValueError, RuntimeError):  # an array, or a list of tensors, has no single answer
        return False
