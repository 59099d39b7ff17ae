"""A forecast that follows the modulated input and not the timestep.

How far a step lies ahead of the last computed one is told by projection: of what the modulated input has moved since,
on what it moved between the last two computed steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from teaspec import Verdict
from teaspec.runtime.rules.forecast import Forecast, Weights
from teaspec.runtime.rules.rule import Memory, Seen, Start, Sums
from teaspec.runtime.rules.schedule import Budget
from teaspec.runtime.rules.steps import Place

_SIGNAL = "computed"


@dataclass(frozen=True)
class Along(Forecast):
    """A forecast at places that are told, in distances between the last two computed steps.

    Attributes:
        now: Where the step is.
        third: Where the third computed step behind is; None where there is none.
    """

    now: float = 0.0
    third: float | None = None

    def weights(self, times: Sequence[float | None], now: float | None) -> tuple[Weights, ...]:
        known = (0.0, -1.0, self.third)[: len(times)]
        return super().weights(known, self.now)


class Followed(NamedTuple):
    """What is known of a branch: what the rule knows, and the signals of the last computed steps."""

    inner: Any
    signals: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Projected(Budget):
    """Computes as many steps as a budget, and follows the modulated input in between.

    Attributes:
        added: What is followed, and how far.
        told: What was read at this step.
    """

    added: Forecast = Forecast()  # noqa: RUF009
    told: dict[str, float] = field(default_factory=dict, compare=False)

    needs_signal = True
    sums = 3

    def init(self, start: Start) -> Followed:
        return Followed(super().init(start))

    def measure(self, call: Seen, memory: Followed) -> Sums | str:
        signals = [call.recall(_SIGNAL, one) for one in memory.signals]
        if len(signals) < 2 or any(one is None for one in signals):
            return (torch.zeros(()),) * 3
        last, before, *earlier = signals
        direction = (last - before).float()
        third = [((one - last).float() * direction).sum() for one in earlier]
        ahead = ((call.signal - last).float() * direction).sum()
        return (ahead, direction.square().sum(), *(third or [torch.zeros(())]))

    def decide(self, numbers: Sequence[float], place: Place, memory: Memory) -> Verdict:
        ahead, size, third = numbers
        self.told.clear()
        if size > 0:
            self.told.update(now=ahead / size, third=third / size)
        return super().decide((), place, memory.inner)

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Memory) -> Memory:
        inner = super().follow(call, verdict, place, memory.inner)
        if verdict.choice == "reuse":
            return memory._replace(inner=inner)
        return Followed(inner, (call.keep(_SIGNAL, call.signal), *memory.signals)[: self.added.points])

    def forecast(self, place: Place) -> Forecast | None:
        if not self.told:
            return self.added
        return Along(self.added.points, self.added.share, self.added.limit, self.told["now"], self.told["third"])
