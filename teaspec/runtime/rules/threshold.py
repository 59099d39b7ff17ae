"""TeaCache's rule, as it was published: reuse while the rescaled changes of the modulated input add up to little.

1. distance = mean|current - previous| / (mean|previous| + 1e-8)
2. rescaled = polynomial(distance)
3. accumulated = accumulated + rescaled, or + |rescaled|
4. Reuse while accumulated < threshold; else compute, and start again at zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from teaspec.runtime.calibrations.calibration import IDENTITY_COEFFICIENTS, Accumulate
from teaspec.runtime.rules.change import Change, relative_l1
from teaspec.runtime.rules.rule import Rule, Seen, Start, Sums
from teaspec.runtime.rules.verdict import NOT_FINITE, Verdict

if TYPE_CHECKING:
    from teaspec.runtime.keep.overwrite import Kept
    from teaspec.runtime.rules.steps import Place

INPUT = "modulated_input"


@dataclass(frozen=True)
class Polynomial:
    """A polynomial in one variable, by Horner's rule.

    Attributes:
        coefficients: Highest degree first, as in `numpy.poly1d`.
    """

    coefficients: tuple[float, ...]

    def __call__(self, x: float) -> float:
        """Returns the value at `x`."""
        value = 0.0
        for coefficient in self.coefficients:
            value = value * x + coefficient
        return value


class Accumulated(NamedTuple):
    """What is known of a branch.

    Attributes:
        total: Sum of the rescaled distances since the last computed step.
        kept: The last step's modulated input, whether that was computed or reused; None before the first.
    """

    total: float = 0.0
    kept: Kept | None = None


@dataclass(frozen=True)
class Threshold(Rule):
    """TeaCache's rule.

    Attributes:
        threshold: What has accumulated stays below it while steps are reused.
        rescale: The rescaling polynomial.
        accumulate: `signed` adds rescaled distances as they are, `absolute` their magnitude.
    """

    threshold: float = 0.2
    rescale: Polynomial = Polynomial(IDENTITY_COEFFICIENTS)
    accumulate: Accumulate = "signed"

    needs_signal = True
    sums = 3
    columns = ("distance", "rescaled", "accumulated")
    compared = "accumulated"
    added = "rescaled"

    @property
    def bound(self) -> float | None:
        """What the accumulated distance stays below while steps are reused."""
        return self.threshold

    def init(self, start: Start) -> Accumulated:
        """Begins with a sum of zero and no input to compare with."""
        return Accumulated()

    def measure(self, call: Seen, memory: Accumulated) -> Sums | str:
        """Measures how much the modulated input has changed since the last step."""
        assert memory.kept is not None
        previous = call.recall(INPUT, memory.kept)
        if previous is None:
            return "previous input overwritten"
        with torch.no_grad():
            return Change.of(call.signal, previous)

    def numbers(self, sums: Sums) -> Sums:
        """Returns the distance."""
        return (relative_l1(*sums),)

    def decide(self, numbers: Sequence[float], place: Place | None, memory: Accumulated) -> Verdict:
        """Applies the rule to one distance. Anything that is not finite computes."""
        (distance,) = numbers
        rescaled = self.rescale(distance)
        total = memory.total + (abs(rescaled) if self.accumulate == "absolute" else rescaled)
        found = {"distance": distance, "rescaled": rescaled, "accumulated": total}
        if not math.isfinite(total):
            return Verdict("compute", NOT_FINITE, found)
        return Verdict("reuse" if total < self.threshold else "compute", "distance", found, yields=True)

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Accumulated) -> Accumulated:
        """Goes on adding while steps are reused, and keeps the input, which the blocks may write to."""
        total = verdict.numbers["accumulated"] if verdict.choice == "reuse" else 0.0
        return Accumulated(total, call.keep(INPUT, call.signal))

    def is_overdue(self, memory: Accumulated) -> bool:
        """Returns whether the sum that was carried on is no longer below the threshold."""
        return memory.total >= self.threshold

    def __str__(self) -> str:
        return f"accumulated distance, {self.accumulate}, threshold {self.threshold:g}"
