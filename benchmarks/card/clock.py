"""Times on an accelerator, and the time in which it has nothing to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import perf_counter
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

Span = tuple[float, float]


def settle(device: torch.device) -> None:
    """Waits until a device has done all its work; a CPU always has."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def seconds(run: Callable[[], Any], device: torch.device) -> float:
    """Seconds from the call until the device is done."""
    settle(device)
    started = perf_counter()
    run()
    settle(device)
    return perf_counter() - started


def idle_share(run: Callable[[], Any], device: torch.device) -> float | None:
    """The share of the time from the first kernel to the last in which no kernel runs; None on a CPU."""
    if device.type == "cpu":
        return None
    settle(device)
    with ExitStack() as stack:
        activities = [ProfilerActivity.CPU, getattr(ProfilerActivity, device.type.upper())]
        profiler = stack.enter_context(profile(activities=activities))
        run()
        settle(device)
    kernels = [
        (event.time_range.start, event.time_range.end)
        for event in profiler.events()
        if event.device_type != DeviceType.CPU
    ]
    return share_between(kernels)


def share_between(spans: Sequence[Span]) -> float | None:
    """The share of the time from the first span to the end of the last that none of them covers.

    Args:
        spans: Beginnings and ends, in any order; they may overlap. None is returned where there are none.
    """
    if not spans:
        return None
    ordered = sorted(spans)
    begin, reached, idle = ordered[0][0], ordered[0][1], 0.0
    for start, end in ordered[1:]:
        idle += max(0.0, start - reached)
        reached = max(reached, end)
    return idle / (reached - begin) if reached > begin else 0.0


def allocated(device: torch.device) -> int | None:
    """Bytes that tensors take on a device; None on a CPU."""
    return None if device.type == "cpu" else int(torch.accelerator.memory_allocated(device))
