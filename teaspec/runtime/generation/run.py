"""A generation as a pipeline's scheduler tells it: `set_timesteps` begins it, `step` ends a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping


@dataclass(frozen=True)
class Run:
    """How far a scheduler is.

    Attributes:
        serial: Which run it is; each `set_timesteps` begins another one.
        ended: Steps that have ended.
        is_lost: Whether its scheduler was exchanged under it, so that nobody knows how far it is.
        length: Steps that the scheduler has listed.
        first: Which of them the run began with: 0, or a later one at a strength below 1. None as long as nobody knows.
        times: The timesteps that it has listed.
        computed: Steps of each branch that were computed, by whichever transformer.
    """

    serial: int
    length: int
    first: int | None = None
    ended: int = 0
    is_lost: bool = False
    times: tuple[float, ...] = ()
    computed: Mapping[str, int] = field(default_factory=dict)

    def at(self, ended: float | None) -> float | None:
        """Returns the timestep behind so many ended steps, None where it was not listed."""
        index = None if ended is None else int(ended) + (self.first or 0)
        return None if index is None or index >= len(self.times) else self.times[index]

    def way(self) -> tuple[float, float] | None:
        """Returns how much of its way the sampler has come, and how much of it is the running step; None if unknown.

        The way is that of the timesteps, from the first one that runs to nought.
        """
        first, now = self.at(0), self.at(self.ended)
        if not first or now is None:
            return None
        following = self.at(self.ended + 1) or 0.0
        return (first - now) / first, (now - following) / first

    @property
    def is_over(self) -> bool:
        """Whether all listed steps have ended."""
        return self.ended >= self.length - (self.first or 0)

    @property
    def total(self) -> int | None:
        """Steps that really run, None where more do than were listed. Before the first has ended, at most so many."""
        return None if self.is_over else self.length - (self.first or 0)


class Clock(Protocol):
    """What a hook asks about the schedulers of its pipeline."""

    def attend(self) -> Run | None:
        """Takes note of a call of a transformer; returns how far its run is, None where there is none."""

    def note(self, branch: str) -> None:
        """Takes note that a step of a branch was computed."""

    def forget(self, key: Hashable) -> None:
        """Has the current run of a session end."""

    def leave(self, hook: Any) -> None:
        """Takes note that a hook is gone; the last one takes with it what was attached to the schedulers."""
