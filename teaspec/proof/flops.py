"""Counting the operations of a full and of a reused step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def count_flops(step: Callable[[], Any]) -> int:
    """Runs `step` once without gradients and returns its floating point operations.

    Only the operations that PyTorch has a formula for are counted: matrix products, convolutions and attention. Those
    are nearly all of a transformer's.

    Raises:
        Exception: What the step raises. Flex attention, which compiles itself, cannot run while it is watched.
    """
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            step()
    except Exception:
        torch._dynamo.reset()  # it would remember what could not be compiled
        raise
    return int(counter.get_total_flops())
