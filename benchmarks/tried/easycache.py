"""EasyCache: the change of the input, times the rate at which the output followed it, adds up.

https://arxiv.org/abs/2507.02860, section 3. There input and output are those of the whole model; here they are the
hidden stream in front of the blocks and behind them, which is all that a rule sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from teaspec import Rule, Verdict
from teaspec.runtime.contract.streams import HIDDEN
from teaspec.runtime.rules.missed import Missed
from teaspec.runtime.rules.rule import Seen, Start, Sums
from teaspec.runtime.rules.steps import Place

_INPUT = "hidden_states"


class Followed(NamedTuple):
    """What is known of a branch.

    Attributes:
        total: What has added up since the last computed step.
        before: The input at the last step.
        computed: The input at the last computed step.
        output: The output there; None before it is known.
        rates: Sums of the last computed step: how far input and output had moved since the one before, and the output.
        moved: How far the input has moved since the last computed step but one, not read yet.
    """

    total: float = 0.0
    before: Any = None
    computed: Any = None
    output: torch.Tensor | None = None
    rates: tuple[torch.Tensor, ...] = ()
    moved: torch.Tensor | None = None


@dataclass(frozen=True)
class EasyCache(Rule):
    """Reuses while the predicted changes of the output add up to little.

    Attributes:
        threshold: What they stay below.
    """

    threshold: float = 0.05

    needs_error = True
    sums = 4
    columns = ("predicted", "accumulated")
    compared = "accumulated"
    added = "predicted"

    @property
    def bound(self) -> float | None:
        return self.threshold

    def init(self, start: Start) -> Followed:
        return Followed()

    def measure(self, call: Seen, memory: Followed) -> Sums | str:
        if not memory.rates:
            return "rate not known yet"
        before = call.recall(_INPUT, memory.before)
        if before is None:
            return "previous input overwritten"
        return (_size(call.hidden_states - before), *memory.rates)

    def numbers(self, sums: Sums) -> Sums:
        change, moved, followed, size = sums
        return (change * followed / (moved * size),)

    def decide(self, numbers: Sequence[float], place: Place, memory: Followed) -> Verdict:
        total = memory.total + numbers[0]
        found = {"predicted": numbers[0], "accumulated": total}
        return Verdict("reuse" if total < self.threshold else "compute", "predicted change", found)

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Followed) -> Followed:
        now = call.keep(_INPUT, call.hidden_states)
        if verdict.choice == "reuse":
            return memory._replace(total=verdict.numbers["accumulated"], before=now)
        last = None if memory.computed is None else call.recall(_INPUT, memory.computed)
        moved = None if last is None else _size(call.hidden_states - last)
        return memory._replace(total=0.0, before=now, computed=now, moved=moved)

    def learn(self, error: Missed, memory: Followed) -> Followed:
        output = error.values[HIDDEN]
        if memory.output is None or memory.moved is None:
            return memory._replace(output=output.clone())
        rates = (memory.moved, _size(output - memory.output), _size(output))
        return memory._replace(output=output.clone(), rates=rates)


def _size(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.abs().sum(dtype=torch.float32)
