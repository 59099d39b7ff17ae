"""Which generations may follow one another on a transformer alone, where only its calls tell.

What is not promised is told by a reset first. Nothing tells these:

- A generation that goes on in the direction of the last one, with the conditioning of the last one: it is what the next
  step would be. Other objects of the same values tell it only where a branch was given the very same objects before.
- The same after a single timestep, whatever the next one is: there is no direction yet. Nor is there one where the
  timesteps of a generation have just turned back.
- A generation that is given up at its first timestep, like the one before it: their calls look like windows.
- A generation that begins at the timestep at which the last one was given up, not its first one: a branch that the last
  one had not called there yet goes on, and may have been given the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STEADY = 2
"""So many steps with the very same objects have to be seen."""

UNSURE = 2
"""So many more where calls of the first step were about several images: of these nothing is trusted."""


@dataclass(frozen=True)
class Opening:
    """How a generation begins.

    Attributes:
        level: Its first timestep.
        indexed: Whether it gives the number of its steps.
        first: What conditions its first call, by value.
        renewed: Whether all its prompts are other objects.
        names: What its passes are called.
        layouts: Of all its calls.
    """

    level: float
    indexed: bool
    first: Any
    renewed: bool
    names: frozenset[str]
    layouts: frozenset[Any]


@dataclass
class Witness:
    """What the calls of a session show, since the last reset.

    Attributes:
        levels: Timesteps of the running generation that had a call, each where it differs from the one before, since
            they last turned back.
        opening: That of the running generation.
        complete: Steps of it of which all calls succeeded.
        several: Whether a step of it calls a name several times, or seems to, where timesteps repeat.
        held: Whether each of its steps was given the very same objects.
        given_up: Generations before it that had but one timestep, the same one.
        conditionings: By value, of all calls.
        layouts: Of all calls.
    """

    levels: list[float] = field(default_factory=list)
    opening: Opening | None = None
    complete: int = 0
    several: bool = False
    held: bool = False
    given_up: int = 0
    conditionings: set[Any] = field(default_factory=set)
    layouts: set[Any] = field(default_factory=set)

    def promises(self, opening: Opening) -> bool:
        """Returns whether a hook notices that a generation begins."""
        last = self.opening
        if last is None or self._turns_back(last, opening):
            return True
        if self._is_same_step(last, opening):
            return len(self.levels) == 1 and self.given_up == 0
        if opening.first not in self.conditionings or not opening.layouts & self.layouts:
            return True
        steps = STEADY + (UNSURE if self.several or self.given_up else 0)
        known = opening.names == last.names and opening.layouts == last.layouts
        return opening.renewed and known and self.held and self.complete >= steps

    def begin(self, opening: Opening) -> None:
        """Takes note of the first call of a generation that succeeded."""
        last = self.opening
        if last is None or self._turns_back(last, opening):
            self.forget()
        elif self._is_same_step(last, opening):
            self.given_up += 1
        else:
            self.given_up = 0
        self.levels, self.opening, self.complete = [opening.level], opening, 0

    def go_to(self, level: float) -> None:
        """Takes note of a further call of the running generation."""
        if level == self.levels[-1]:
            return
        assert self.opening is not None
        if not self.opening.indexed and self._rises(level) not in (None, self._rises()):
            # To a hook another generation begins with it, of which there is no direction yet, and no step is known.
            self.levels, self.complete = [], 0
        self.levels.append(level)

    def forget(self) -> None:
        """Takes note of a reset."""
        vars(self).update(vars(Witness()))

    def _turns_back(self, last: Opening, opening: Opening) -> bool:
        if last.indexed and opening.indexed:
            return len(self.levels) > 1
        return opening.level != self.levels[-1] and self._rises(opening.level) not in (None, self._rises())

    def _rises(self, level: float | None = None) -> bool | None:
        """Returns whether timesteps rise to a level, or did up to the last; None where there is no direction yet."""
        if len(self.levels) < 2:
            return None
        return self.levels[-1] > self.levels[-2] if level is None else level > self.levels[-1]

    def _is_same_step(self, last: Opening, opening: Opening) -> bool:
        if last.indexed and opening.indexed:
            return len(self.levels) == 1
        return opening.level == self.levels[-1]
