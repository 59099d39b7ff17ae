"""Rules that ask nothing: for proofs and measurements, where what is decided is not the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from teaspec.runtime.rules.rule import Memory, Rule
from teaspec.runtime.rules.verdict import Verdict

if TYPE_CHECKING:
    from teaspec.runtime.rules.steps import Place


@dataclass(frozen=True)
class Always(Rule):
    """Computes each step.

    Attributes:
        needs_signal: Whether the modulated input is computed all the same.
    """

    needs_signal: bool = False

    def decide(self, numbers: Sequence[float], place: Place, memory: Memory) -> Verdict:
        """Computes, whatever is known."""
        return Verdict("compute", "always")


@dataclass(frozen=True)
class Never(Rule):
    """Computes no step that can be reused.

    Attributes:
        needs_signal: Whether the modulated input is computed all the same.
    """

    needs_signal: bool = False

    def decide(self, numbers: Sequence[float], place: Place, memory: Memory) -> Verdict:
        """Reuses; what must be computed is, before a rule is asked."""
        return Verdict("reuse", "never")
