"""Tells calls apart where the pipeline does not name them: which branch, and whether a new generation began.

Pipelines whose transformer knows no `cache_context` neither name their CFG passes nor reset at the end of a call. The
timestep tells both: the k-th call at one timestep is branch k, and a timestep that moves against the direction of the
generation so far begins a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from teaspec.runtime.arguments import ArgumentFinder
from teaspec.runtime.overwrite import unchanged, version_of

TIMESTEP_NAMES = ("timestep", "timesteps", "t", "time", "sigma", "sigmas")


@dataclass(frozen=True, eq=False)
class Call:
    """One call, seen by its timestep.

    Attributes:
        index: How many calls at the same timestep came before it.
        restarts: Whether it begins a new generation.
        timestep: The argument as it was passed; None where the forward takes none.
        version: Its version counter, where it is a tensor that has one.
        value: A copy of it, for a caller may reuse the tensor.
        level: Its mean, None where it has none.
        rising: Whether timesteps rise in this generation; None until two have been seen.
    """

    index: int = 0
    restarts: bool = False
    timestep: Any = None
    version: int | None = None
    value: Any = None
    level: float | None = None
    rising: bool | None = None


class CallOrder:
    """Numbers the calls at one timestep and notices where a generation begins anew."""

    def __init__(self, arguments: ArgumentFinder) -> None:
        self._arguments = arguments
        self._last: Call | None = None

    def peek(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        """Returns what there is to know about this call, without counting it yet."""
        values = (self._arguments.find(name, args, kwargs) for name in TIMESTEP_NAMES)
        timestep = next((value for value in values if value is not None), None)
        if timestep is None:
            return Call()
        version = version_of(timestep) if isinstance(timestep, torch.Tensor) else None
        last = self._last
        # The same untouched object needs no comparison, which on an accelerator would wait for the device.
        if last is not None and timestep is last.timestep and unchanged_since(timestep, last.version):
            return Call(last.index + 1, False, timestep, version, last.value, last.level, last.rising)
        value = timestep.detach().clone() if isinstance(timestep, torch.Tensor) else timestep
        level = _level(value)
        if last is None:
            return Call(0, False, timestep, version, value, level)
        if level == last.level and _same(value, last.value):
            return Call(last.index + 1, False, timestep, version, value, level, last.rising)
        rising = _rising(last.level, level)
        restarts = rising is not None and last.rising is not None and rising != last.rising
        kept = last.rising if rising is None else rising
        return Call(0, restarts, timestep, version, value, level, None if restarts else kept)

    def commit(self, call: Call) -> None:
        """Counts the call."""
        self._last = call

    def reset(self) -> None:
        """Forgets the calls so far."""
        self._last = None


def unchanged_since(timestep: Any, version: int | None) -> bool:
    """Returns whether a timestep is known to be what it was; numbers and strings always are."""
    if isinstance(timestep, torch.Tensor):
        return unchanged(timestep, version)
    return isinstance(timestep, (int, float, str))


def _level(value: Any) -> float | None:
    if isinstance(value, torch.Tensor):
        return float(value.float().mean().item())
    return float(value) if isinstance(value, (int, float)) else None


def _rising(before: float | None, now: float | None) -> bool | None:
    return None if before is None or now is None or before == now else now > before


def _same(value: Any, last: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return isinstance(last, torch.Tensor) and value.device == last.device and torch.equal(value, last)
    try:
        return type(value) is type(last) and bool(value == last)
    except (ValueError, RuntimeError):  # an array, or a list of tensors, has no single answer
        return False
