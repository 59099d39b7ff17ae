"""Checks of the values in a config."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import torch

COEFFICIENT_COUNT = 5


def is_finite_number(value: Any) -> bool:
    """Returns whether it is a number that one can calculate with."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: Any, least: int = 0) -> bool:
    """Returns whether it is an integer of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check(name: str, value: Any, holds: bool, wanted: str) -> None:
    """Raises a ValueError that names the setting, unless what is wanted holds.

    Raises:
        ValueError: If it does not hold.
    """
    if not holds:
        raise ValueError(f"{name} must be {wanted}, found {value!r}")


def check_steps(name: str, value: Any) -> None:
    """Checks a number of steps: a count, or a fraction of all steps.

    Raises:
        ValueError: If it is neither of them, nor None.
    """
    fits = value is None or is_count(value) or (isinstance(value, float) and 0 <= value <= 1)
    check(name, value, fits, "an integer of at least 0, a fraction (a float from 0 to 1), or None")


def check_device(name: str, value: Any) -> None:
    """Checks a device, by torch's own reading of it.

    Raises:
        ValueError: If it is neither a device, nor the name of one, nor None.
    """
    try:
        fits = value is None or isinstance(torch.device(value), torch.device)
    except (RuntimeError, TypeError):
        fits = False
    check(name, value, fits, "a torch device, or None")


def checked_coefficients(values: Any) -> list[float]:
    """Returns coefficients as a list of floats of the config's own.

    Raises:
        ValueError: If they are not five finite numbers.
    """
    found = list(values) if isinstance(values, Iterable) else [values]
    if len(found) != COEFFICIENT_COUNT or not all(is_finite_number(value) for value in found):
        raise ValueError(
            f"coefficients must be {COEFFICIENT_COUNT} finite numbers, highest degree first, found {values!r}"
        )
    return [float(value) for value in found]
