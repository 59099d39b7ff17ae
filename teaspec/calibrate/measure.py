"""The distance that both axes of a calibration are measured in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from teaspec.runtime.rules.change import EPSILON


def calculate_relative_l1(tensor_current: NDArray[np.floating], tensor_next: NDArray[np.floating]) -> float:
    """Returns the mean change relative to the mean magnitude, as the decision measures it.

    Args:
        tensor_current: A step's tensor.
        tensor_next: The next step's, of the same shape.

    Raises:
        ValueError: If the shapes differ.
    """
    before, after = np.asarray(tensor_current, np.float64), np.asarray(tensor_next, np.float64)
    if before.shape != after.shape:
        raise ValueError(f"the two tensors must have one shape, found {before.shape} and {after.shape}")
    return float(np.abs(after - before).mean() / (np.abs(before).mean() + EPSILON))
