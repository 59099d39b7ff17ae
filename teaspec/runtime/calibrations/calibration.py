"""What was published about a transformer: plain data, from whatever source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from teaspec.runtime.calibrations.gains import Gain
from teaspec.runtime.calibrations.plans import Plan
from teaspec.runtime.calibrations.thresholds import Threshold

Accumulate = Literal["signed", "absolute"]
Status = Literal["published", "borrowed", "none"]

IDENTITY_COEFFICIENTS = (0.0, 0.0, 0.0, 1.0, 0.0)

BASE = "base"
"""The name of a type's own calibration, beside its variants."""


@dataclass(frozen=True)
class Calibration:
    """One published set: what is used where the user's config leaves a choice open.

    Attributes:
        coefficients: The rescaling polynomial, highest degree first, five numbers.
        accumulate: `signed` adds the rescaled distance as it is, `absolute` adds its magnitude.
        status: `published` for this model, `borrowed` from another one, or `none`: uncalibrated.
        source: Where the coefficients come from.
        warmup_steps: Steps at the beginning of a generation that are always computed.
        match: Key of the model's config to the values that it may have where this set is the right one. A text is a
            pattern with `*` and `?`, upper and lower case alike. Empty where the config does not tell.
        thresholds: Published settings, those that `teaspec calibrate --write` wrote included.
        plans: Which steps a budget computes, where it was found out; those that `teaspec calibrate --write` wrote.
        tolerance: What a tolerance comes to; None where nobody measured it.
        signal: What decides, where it is not what the extractor gives by itself. Needs an extractor that can be
            compiled for it.
    """

    coefficients: tuple[float, ...] = IDENTITY_COEFFICIENTS
    accumulate: Accumulate = "signed"
    status: Status = "none"
    source: str | None = None
    warmup_steps: int = 0
    match: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    plans: tuple[Plan, ...] = ()
    tolerance: Gain | None = None
    signal: str | None = None


@dataclass(frozen=True)
class Defaults(Calibration):
    """What a transformer type uses where the user's config leaves a choice open.

    Attributes:
        variants: Further sets by name, each for a checkpoint of its own or made in another way.
    """

    variants: Mapping[str, Calibration] = field(default_factory=dict)

    def named(self) -> dict[str, Calibration]:
        """Returns all sets by name, the type's own first, as `base`."""
        return {BASE: self, **self.variants}
