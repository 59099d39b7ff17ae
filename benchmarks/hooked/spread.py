"""Many samples of one quantity, summed up."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Seconds or ratios of many samples.

    Attributes:
        median: Their median.
        lower: The first quartile.
        upper: The third.
        surely: 95 % confidence interval of the median, by order statistics, which assume nothing about the samples'
            distribution (H. A. David, H. N. Nagaraja, Order Statistics, section 7.1).
        count: How many there are.
    """

    median: float
    lower: float
    upper: float
    surely: tuple[float, float]
    count: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Sums up at least two samples."""
        lower, median, upper = statistics.quantiles(samples, n=4)
        ranked = sorted(samples)
        below = max(0, math.floor(len(ranked) / 2 - 0.98 * math.sqrt(len(ranked))))
        return cls(median, lower, upper, (ranked[below], ranked[-1 - below]), len(ranked))

    def text(self, scale: float = 1.0, digits: int = 3) -> str:
        """The median and the quartiles."""
        return f"{scale * self.median:.{digits}f} ({scale * self.lower:.{digits}f} to {scale * self.upper:.{digits}f})"

    def bounds(self, digits: int = 4) -> str:
        """The median and where it surely lies."""
        return f"{self.median:.{digits}f} ({self.surely[0]:.{digits}f} to {self.surely[1]:.{digits}f})"
