"""MagCache as docs/rules.md has it, and the table that it goes by, measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from teaspec import Rule, Verdict
from teaspec.runtime.contract.streams import HIDDEN
from teaspec.runtime.rules.missed import Missed
from teaspec.runtime.rules.rule import Memory, Seen
from teaspec.runtime.rules.steps import Place

_PAGE = Path(__file__).parents[2] / "docs" / "rules.md"

_ENTERING = "entering"


@dataclass(frozen=True)
class Magnitudes(Rule):
    """Computes each step and takes the magnitude of what the blocks add: the mean over tokens of its norm.

    Attributes:
        found: Those of the steps behind the first one, generation by generation.
    """

    found: list[list[float]] = field(default_factory=list, compare=False)

    needs_error = True

    def decide(self, numbers: Any, place: Place, memory: Memory) -> Verdict:
        return Verdict("compute", "measured")

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Memory) -> Memory:
        if place.index == 0:
            self.found.append([])
        return call.keep(_ENTERING, call.hidden_states)

    def learn(self, error: Missed, memory: Memory) -> Memory:
        self.found[-1].append(float((error.values[HIDDEN] - memory.value).norm(dim=-1).mean()))
        return memory


def ratios_of(generations: list[list[float]]) -> tuple[float, ...]:
    """Returns the magnitude at each step over that at the step before, the mean over generations; 1 where unknown.

    Args:
        generations: Magnitudes of the steps behind the first one.
    """
    each = zip(*generations, strict=True)
    means = torch.tensor([fmean(of_step) for of_step in each])
    return (1.0, 1.0, *(means[1:] / means[:-1]).tolist())


def worked_example() -> Callable[..., Rule]:
    """Returns the class that stands on the page."""
    blocks = re.findall(r"```python\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = (block for block in blocks if "class MagCache" in block)
    names: dict[str, Any] = {"__name__": __name__}
    exec(example, names)
    return names["MagCache"]
