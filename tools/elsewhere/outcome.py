"""What was found out about one class of another package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The result for one class.

    Attributes:
        model: Its import path.
        spec: The file of the spec.
        verdict: `passes`, `fails: ...` or `refused: ...`.
        served: The same of the other package's own hook; empty where it has none.
        left_out: What the class has no place for, of the shipped probe.
        changed: The parts of the shipped probe that were replaced.
        reused: What a reused step takes of the operations, None where that could not be counted.
    """

    model: str
    spec: str
    verdict: str
    served: str = ""
    left_out: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    reused: float | None = None

    @property
    def passes(self) -> bool:
        """Whether all holds: every property, and under the other package's own hook where it has one."""
        return self.verdict == "passes" and self.served in ("", "passes")
