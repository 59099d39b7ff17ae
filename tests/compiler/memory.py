"""Which values share memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def pointers(value: Any) -> set[int]:
    """The memory that a value reaches, itself or what it holds."""
    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided:
            return pointers(value._values()) | pointers(value._indices()) | {id(value)}
        return {value.untyped_storage().data_ptr(), id(value)}
    if isinstance(value, np.ndarray):
        return {value.__array_interface__["data"][0], id(value)}
    if isinstance(value, (list, tuple)):
        return {pointer for part in value for pointer in pointers(part)}
    return {id(value)}


def shares(result: Any, given: Any) -> bool:
    """Whether a result is what was given, or a view of it."""
    return bool(pointers(result) & pointers(given))
