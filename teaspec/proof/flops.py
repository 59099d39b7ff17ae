"""Counting the operations of a full and of a reused step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils.flop_counter import FlopCounterMode, flop_registry, sdpa_flop_count


def _attention_on_cpu(query: Any, key: Any, value: Any, *_args: Any, **_kwargs: Any) -> int:
    """By the shapes. The kernel that attention comes down to on the CPU is one that PyTorch has no formula for."""
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


_FORMULAS = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_on_cpu}


def count_flops(step: Callable[[], Any]) -> int | None:
    """Runs `step` once without gradients and returns its floating point operations.

    Only the operations that PyTorch has a formula for are counted: matrix products, convolutions and attention. Those
    are nearly all of a transformer's. Flex attention counts as if nothing were masked, which is PyTorch's formula for
    it. None where the step calls an operator of operators that has none, or does not run while it is watched: either
    ends in a TypeError.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    operators = _OperatorsOfOperators()
    try:
        with torch.no_grad(), counter, operators:
            step()
    except TypeError:
        return None
    return int(counter.get_total_flops()) + operators.total


class _OperatorsOfOperators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts those that PyTorch has a formula for: `FlopCounterMode` refuses them before it looks for one."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not isinstance(func, HigherOrderOperator) or func is torch.ops.higher_order.cond:
            return func(*args, **kwargs)
        if func not in flop_registry:
            raise TypeError(f"there is no formula for {func}, and the counter does not see its inside")
        self.total += int(flop_registry[func](*args, **kwargs))
        with _disable_current_modes():  # its inside is counted already
            return func(*args, **kwargs)
