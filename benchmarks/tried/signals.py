"""The threshold rule on another signal than the modulated input."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from teaspec import Threshold
from teaspec.runtime.rules.rule import Seen, Sums
from teaspec.runtime.rules.steps import Place
from teaspec.runtime.rules.threshold import Accumulated
from teaspec.runtime.rules.verdict import Verdict


@dataclass(frozen=True)
class OnHiddenStates(Threshold):
    """Looks at the hidden stream where it enters the blocks: embedded latents, which know nothing of the timestep."""

    needs_signal = False

    def measure(self, call: Seen, memory: Accumulated) -> Sums | str:
        """Measures how much the stream has changed since the last step."""
        return super().measure(_shown(call), memory)

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Accumulated) -> Accumulated:
        """Keeps the stream."""
        return super().follow(_shown(call), verdict, place, memory)


def _shown(call: Seen) -> Any:
    """The call with the hidden stream as its signal."""
    return SimpleNamespace(signal=call.hidden_states, keep=call.keep, recall=call.recall)
