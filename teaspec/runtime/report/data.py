"""What `stats` finds: counts, decisions, memory and time, as plain data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from teaspec.runtime.generation.sums import Sums
from teaspec.runtime.rules.record import Decision


@dataclass(frozen=True)
class BranchStats:
    """One branch of one generation.

    Attributes:
        branch: Its name.
        computed: Steps that ran the blocks.
        reused: Steps that reused a residual.
        decisions: What was decided at each step, with the numbers that the rule went by; at most the last 4096 of a
            generation's.
        computed_seconds: Median time of a computed call, None where there is none.
        reused_seconds: Median time of a reused call, None where there is none.
    """

    branch: str
    computed: int
    reused: int
    decisions: tuple[Decision, ...]
    computed_seconds: float | None
    reused_seconds: float | None

    @property
    def saved_seconds(self) -> float:
        """An estimate: as if each reused call had taken as long as the median computed one."""
        if self.computed_seconds is None or self.reused_seconds is None:
            return 0.0
        return self.reused * (self.computed_seconds - self.reused_seconds)


@dataclass(frozen=True)
class TransformerStats:
    """One transformer: the running generation of the current session, or its last one where none is running.

    Attributes:
        name: Its name in the pipeline.
        branches: In the order in which they were first called.
        bytes_held: Memory that the current session's tensors keep.
        sessions: Memory that each session's tensors keep, by key.
        variant: The calibration in use.
        rule: What decides, in words.
        columns: Names of the numbers that it goes by.
        compared: The one of them that is compared with `bound`, None where there is none.
        added: The one that a step adds to it, None where there is none.
        bound: What `compared` is compared with, None where there is nothing.
        settings: The config with every choice made, but for process groups and callbacks.
        most_bytes: The most memory that all sessions have kept at once.
        sums: All generations, of all sessions, those that are gone included.
    """

    name: str
    branches: tuple[BranchStats, ...]
    bytes_held: int
    sessions: dict[Hashable, int]
    variant: str
    rule: str
    columns: tuple[str, ...]
    compared: str | None
    added: str | None
    bound: float | None
    settings: Mapping[str, Any]
    most_bytes: int
    sums: Sums


@dataclass(frozen=True)
class Totals:
    """The sums over all transformers.

    Attributes:
        transformers: One each.
    """

    transformers: tuple[TransformerStats, ...]

    @property
    def computed(self) -> int:
        """Calls that ran the blocks, of all transformers and branches."""
        return sum(branch.computed for one in self.transformers for branch in one.branches)

    @property
    def reused(self) -> int:
        """Calls that reused a residual, of all transformers and branches."""
        return sum(branch.reused for one in self.transformers for branch in one.branches)

    @property
    def bytes_held(self) -> int:
        """Memory that the current session's tensors keep."""
        return sum(one.bytes_held for one in self.transformers)

    @property
    def saved_seconds(self) -> float:
        """An estimate of the time that reuse has saved."""
        return sum(branch.saved_seconds for one in self.transformers for branch in one.branches)
