"""The user's settings for one transformer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, get_args

from teaspec.defaults import DOCUMENTED_TRANSFORMER_TYPE
from teaspec.runtime.calibration import Accumulate
from teaspec.runtime.naming import did_you_mean, listed
from teaspec.runtime.registry import known_types

COEFFICIENT_COUNT = 5


class NotGiven(str):
    """A default that can be told from the same string given by the user.

    It is a plain string to everybody else, and it survives `dataclasses.replace`, copying and pickling.
    """

    __slots__ = ()


NO_TRANSFORMER_TYPE = NotGiven(DOCUMENTED_TRANSFORMER_TYPE)


@dataclass
class TeaCacheConfig:
    """Configuration of TeaCache for one transformer.

    Attributes:
        rel_l1_thresh: Threshold of the accumulated distance; below it the cached residual is reused. Higher is faster
            and less exact. What works depends on the model; specs list the published values.
        coefficients: Five coefficients of the polynomial that rescales the distance, highest degree first. None takes
            those of the variant.
        transformer_type: Class name or registered type of the transformer. Where it is not given it reads as the
            documented default and is found out from the module when the hook is applied.
        accumulate: `signed` adds rescaled distances as they are, `absolute` their magnitude. None takes the variant's
            own.
        variant: Which of the transformer type's calibrations is used: `base`, or the name of a variant. None lets the
            module's config tell; with `coefficients` of your own it means `base`.
        warmup_steps: So many steps of each branch, from the beginning of a generation on, are always computed. None
            takes the variant's own.

    Raises:
        ValueError: If the threshold is not a finite number above 0, the coefficients are not five finite numbers,
            `accumulate` is neither of the two, `variant` is no name, or `warmup_steps` no count.
        KeyError: If nobody knows the given type and there are no coefficients for it.
    """

    rel_l1_thresh: float = 0.2
    coefficients: list[float] | None = None
    transformer_type: str = NO_TRANSFORMER_TYPE
    accumulate: Accumulate | None = None
    variant: str | None = None
    warmup_steps: int | None = None

    def __post_init__(self) -> None:
        """Checks the values; a sequence of coefficients becomes a list of floats."""
        if not _is_finite_number(self.rel_l1_thresh) or self.rel_l1_thresh <= 0:
            raise ValueError(f"rel_l1_thresh must be a finite number above 0, found {self.rel_l1_thresh!r}")
        if self.coefficients is not None:
            self.coefficients = _checked_coefficients(self.coefficients)
        if self.accumulate is not None and self.accumulate not in get_args(Accumulate):
            raise ValueError(f"accumulate must be 'signed', 'absolute' or None, found {self.accumulate!r}")
        if self.variant is not None and not (isinstance(self.variant, str) and self.variant):
            raise ValueError(f"variant must be a name or None, found {self.variant!r}")
        if self.warmup_steps is not None and not _is_count(self.warmup_steps):
            raise ValueError(f"warmup_steps must be an integer of at least 0, or None, found {self.warmup_steps!r}")
        if self.coefficients is None and self.is_type_given and self.transformer_type not in known_types():
            raise KeyError(
                f"no coefficients for transformer type {self.transformer_type!r}"
                f"{did_you_mean(self.transformer_type, known_types())} Give `coefficients`, or one of the known types: "
                f"{listed(known_types())}"
            )

    @property
    def is_type_given(self) -> bool:
        """Whether the caller named the transformer type."""
        return not isinstance(self.transformer_type, NotGiven)


def _is_finite_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, Real) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _checked_coefficients(values: Any) -> list[float]:
    found = list(values) if isinstance(values, Iterable) else [values]
    if len(found) != COEFFICIENT_COUNT or not all(_is_finite_number(value) for value in found):
        raise ValueError(
            f"coefficients must be {COEFFICIENT_COUNT} finite numbers, highest degree first, found {values!r}"
        )
    return [float(value) for value in found]
