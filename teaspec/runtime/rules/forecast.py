"""Residuals ahead of the last computed step, as weighted sums of those of the last computed steps.

A trained model's residuals move smoothly, so the line through the last two is nearer to the truth than the last one as
it stands, and a parabola through the last three nearer still where they are well apart. Computed steps side by side
give noisy slopes, hence the limit on how far they are followed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast

import torch

from teaspec.runtime.keep.memory import Origin, fetch

Kind = Literal["last", "line", "parabola", "blend"]

_MADE_OF: dict[Kind, tuple[int, float]] = {
    "last": (1, 0.0),
    "line": (2, 0.0),
    "parabola": (3, 1.0),
    "blend": (3, 0.5),
}
"""So many computed steps are looked at, and that much of the parabola goes into it."""

Weights = tuple[float, ...]
"""One for each computed step, the last one first; they add up to one."""


@dataclass(frozen=True, eq=False)
class Computed:
    """What is remembered of a computed step.

    Attributes:
        at: Its timestep, where the pipeline gives one, else the number of the step; None where a timestep is no number.
        residuals: By stream key, as they are stored.
        origins: By stream key, where a residual belongs.
        earlier: The computed step before it, None where that is not remembered.
    """

    at: float | None = None
    residuals: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    earlier: Computed | None = None

    def chain(self) -> Iterator[Computed]:
        """Returns this step and those before it."""
        one: Computed | None = self
        while one is not None:
            yield one
            one = one.earlier

    def shortened(self, count: int) -> Computed | None:
        """Returns the last so many steps, None where that is none."""
        if count <= 0:
            return None
        earlier = None if self.earlier is None else self.earlier.shortened(count - 1)
        return self if earlier is self.earlier else Computed(self.at, self.residuals, self.origins, earlier)


@dataclass(frozen=True)
class Forecast:
    """How the residuals of a reused step are made of those of the last computed steps.

    Attributes:
        points: So many computed steps are looked at.
        share: How much of the parabola goes into it, and how much of the line: from 0 to 1.
        limit: How far they are followed at most, in distances between the last two computed steps.
    """

    points: int = 1
    share: float = 0.0
    limit: float = 1.0

    @property
    def power(self) -> float:
        """How its errors grow with the distance to the last computed step, where residuals move smoothly."""
        return 1.0 if self.points < 2 else 3.0 if self.share == 1 else 2.0

    def __str__(self) -> str:
        made_of = self.points, self.share
        kind = next((kind for kind, known in _MADE_OF.items() if known == made_of), f"{self.share:g} of a parabola")
        return kind if kind == "last" else f"{kind}, limit {self.limit:g}"

    def is_same(self, other: Forecast) -> bool:
        """Returns whether another one comes to the same; the last residual as it stands is followed nowhere.

        Args:
            other: The other one.
        """
        return self == other or self.points == other.points == 1

    def weights(self, times: Sequence[float | None], now: float | None) -> tuple[Weights, ...]:
        """Returns the weights for two computed steps, for three, and so on; none where the last one is taken as it is.

        Args:
            times: When the computed steps were, the last one first.
            now: When the step to forecast is.
        """
        if self.points < 2 or len(times) < 2:
            return ()
        ratio = ratio_of(times[1], times[0], now, self.limit)
        if ratio == 0:
            return ()
        line = (1 + ratio, -ratio)
        spread = _spread(times) if self.points > 2 else None
        return (line,) if spread is None else (line, _blended(line, _parabola(ratio, spread), self.share))


@lru_cache
def forecast_for(kind: Kind | None, order: int, limit: float) -> Forecast:
    """Returns the forecast that settings stand for.

    Args:
        kind: `forecast`; None takes the order.
        order: `residual_order`.
        limit: `residual_limit`.
    """
    kind = kind or ("line" if order else "last")
    return Forecast(*_MADE_OF[kind], limit)


def forecast_of(kind: str, limit: float) -> Forecast:
    """Returns the forecast that a calibration names.

    Args:
        kind: One of `Kind`.
        limit: The `residual_limit` of that.
    """
    return forecast_for(cast(Kind, kind), 0, limit)


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


def _spread(times: Sequence[float | None]) -> float | None:
    """Returns how far the third computed step lies behind the second, in distances between the first two."""
    if len(times) < 3 or times[0] is None or times[1] is None or times[2] is None or times[0] == times[1]:
        return None
    spread = (times[1] - times[2]) / (times[0] - times[1])
    return spread if math.isfinite(spread) and spread > 0 else None


def _parabola(ratio: float, spread: float) -> Weights:
    """Lagrange's weights at `ratio` of a parabola through 0, -1 and -1 - `spread`."""
    reach = 1 + spread
    return (
        (ratio + 1) * (ratio + reach) / reach,
        -ratio * (ratio + reach) / spread,
        ratio * (ratio + 1) / (reach * spread),
    )


def _blended(line: Weights, parabola: Weights, share: float) -> Weights:
    padded = (*line, 0.0)
    return tuple((1 - share) * one + share * other for one, other in zip(padded, parabola, strict=True))


def forecast(key: str, last: torch.Tensor, earlier: Computed | None, weights: Sequence[Weights]) -> torch.Tensor:
    """Returns a stream's residual ahead of the last computed one, in the dtype of that.

    Args:
        key: The stream's key.
        last: Its residual at the last computed step.
        earlier: The computed steps before.
        weights: Those for two computed steps, for three, and so on: as many are looked at as fit each other.
    """
    if not weights or earlier is None:
        return last
    known: list[torch.Tensor] = []
    for one in earlier.chain():
        if len(known) == len(weights) or key not in one.residuals:
            break
        before = fetch(one.residuals[key], one.origins[key])
        # A model may change its mind about dtype or device in mid-generation; then there is no line.
        if (before.shape, before.dtype, before.device) != (last.shape, last.dtype, last.device):
            break
        known.append(before)
    if not known:
        return last
    first, *others = weights[len(known) - 1]
    found = torch.lerp(known[0], last, first)
    for number, before in enumerate(known[1:], 1):
        found.add_(before - known[0], alpha=others[number])
    return found
