"""Counting the operations of a full and of a reused step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def count_flops(step: Callable[[], Any]) -> int | None:
    """Runs `step` once without gradients and returns its floating point operations.

    Only the operations that PyTorch has a formula for are counted: matrix products, convolutions and attention. Those
    are nearly all of a transformer's. None where the step calls an operator of operators that the counter does not let
    through, such as flex attention: it ends in a TypeError that the step without the counter does not raise.
    """
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            step()
    except TypeError:
        return None
    return int(counter.get_total_flops())
