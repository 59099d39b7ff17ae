"""How long a call took, without waiting for an accelerator while generating."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

DEVICES_WITH_EVENTS = ("cuda", "xpu")

Mark = Any
"""A moment: seconds of the clock, or an event that an accelerator passes when it gets there."""


def mark(tensor: Any) -> Mark:
    """Returns the present moment on the device of a tensor; on the CPU for anything else."""
    if isinstance(tensor, torch.Tensor) and tensor.device.type in DEVICES_WITH_EVENTS:
        event = torch.Event(tensor.device, enable_timing=True)
        event.record()
        return event
    return perf_counter()


@dataclass(frozen=True, eq=False)
class Elapsed:
    """The time between two moments; reading it waits until the second one has passed."""

    start: Mark
    end: Mark

    @property
    def seconds(self) -> float:
        """The time in seconds."""
        if isinstance(self.start, float):
            return float(self.end - self.start)
        self.end.synchronize()
        return float(self.start.elapsed_time(self.end)) / 1000

    def __deepcopy__(self, memo: dict[int, Any]) -> Elapsed:
        return self  # events have no copies, and what has passed does not change
