"""The hook's record of what it decided, kept past the reset that ends a pipeline call."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from teaspec.runtime.host.timing import Elapsed
from teaspec.runtime.rules.verdict import Choice, Verdict

RECORDED_DECISIONS = 4096


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        branch: The CFG pass it belongs to.
        step: The branch's step, from 0.
        decision: `compute` or `reuse`.
        reason: What decided, or what forced the computation.
        numbers: What the rule went by, by name; empty where nothing was measured.
        session: The key of the session.
        elapsed: How long the call took. Two decisions may be equal with different times.
    """

    branch: str
    step: int
    decision: Choice
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    session: Hashable = None
    elapsed: Elapsed | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, branch: str, step: int, verdict: Verdict, session: Hashable, elapsed: Elapsed) -> Decision:
        """Returns a verdict as it is recorded."""
        return cls(branch, step, verdict.choice, verdict.reason, verdict.numbers, session, elapsed)

    @property
    def distance(self) -> float | None:
        """TeaCache's relative L1 change of the modulated input, None where it was not measured."""
        return self.numbers.get("distance")

    @property
    def rescaled(self) -> float | None:
        """The distance after the polynomial, None where it was not measured."""
        return self.numbers.get("rescaled")

    @property
    def accumulated(self) -> float:
        """What was compared with the threshold; 0 where nothing was."""
        return self.numbers.get("accumulated", 0.0)

    def __str__(self) -> str:
        where = "" if self.session is None else f"session={self.session!r} "
        numbers = "".join(f" {name}={value}" for name, value in self.numbers.items())
        return f"{where}branch={self.branch} step={self.step} decision={self.decision}{numbers} reason={self.reason}"


@dataclass(frozen=True)
class StepCounts:
    """Steps of one branch: how many ran the blocks, how many reused the residual."""

    computed: int = 0
    reused: int = 0


@dataclass(frozen=True)
class Generation:
    """What happened between two resets.

    Attributes:
        decisions: The last decisions, oldest first, at most `RECORDED_DECISIONS`.
        counts: Steps per branch, all of them.
    """

    decisions: tuple[Decision, ...]
    counts: dict[str, StepCounts]


class DecisionLog:
    """Collects the decisions of the running generation and remembers the one before."""

    def __init__(self) -> None:
        self.last: Generation | None = None
        self._decisions: deque[Decision] = deque(maxlen=RECORDED_DECISIONS)
        self._counts: dict[str, StepCounts] = {}

    @property
    def current(self) -> Generation:
        """The running generation so far."""
        return Generation(tuple(self._decisions), dict(self._counts))

    def add(self, decision: Decision) -> None:
        """Adds one decision."""
        counts = self._counts.get(decision.branch, StepCounts())
        if decision.decision == "compute":
            counts = replace(counts, computed=counts.computed + 1)
        else:
            counts = replace(counts, reused=counts.reused + 1)
        self._counts[decision.branch] = counts
        self._decisions.append(decision)

    def close(self) -> None:
        """Ends the running generation. One without decisions does not push out the last: resets come in pairs."""
        if self._decisions:
            self.last = self.current
            self._decisions.clear()
            self._counts.clear()
