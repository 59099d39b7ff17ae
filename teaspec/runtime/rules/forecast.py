"""Residuals ahead of the last computed step, along the line through the last two.

A trained model's residuals move smoothly, so the line is nearer to the truth than the last residual as it stands. Two
computed steps side by side give a noisy slope, hence the limit on how far the line is followed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from teaspec.runtime.keep.memory import Origin, fetch


@dataclass(frozen=True, eq=False)
class Computed:
    """What is remembered of a computed step.

    Attributes:
        at: Its timestep, where the pipeline gives one, else the number of the step; None where a timestep is no number.
        residuals: By stream key, as they are stored.
        origins: By stream key, where a residual belongs.
    """

    at: float | None = None
    residuals: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)


def ratio_of(before: float | None, last: float | None, now: float | None, limit: float) -> float:
    """Returns how far to follow the line: the distance ahead over the distance between the two, from 0 to the limit.

    Args:
        before: When the last computed step but one was.
        last: When the last computed step was.
        now: When the step to forecast is.
        limit: `residual_limit`.
    """
    if before is None or last is None or now is None or last == before:
        return 0.0
    ratio = (now - last) / (last - before)
    return min(max(ratio, 0.0), limit) if math.isfinite(ratio) else 0.0


def forecast(key: str, last: torch.Tensor, earlier: Computed, ratio: float) -> torch.Tensor:
    """Returns a stream's residual ahead of the last computed one, in the dtype of that.

    Args:
        key: The stream's key.
        last: Its residual at the last computed step.
        earlier: The computed step before.
        ratio: How far to go; 0 is the last residual itself.
    """
    if ratio == 0 or key not in earlier.residuals:
        return last
    before = fetch(earlier.residuals[key], earlier.origins[key])
    # A model may change its mind about dtype or device in mid-generation; then there is no line.
    if (before.shape, before.dtype, before.device) != (last.shape, last.dtype, last.device):
        return last
    return torch.lerp(before, last, 1 + ratio)
