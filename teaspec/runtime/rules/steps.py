"""Which steps are computed whatever has changed: at both ends of a generation, and after too many reused ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

ROUNDING = 1e-9


@dataclass(frozen=True)
class Guards:
    """What the user wants to be computed in any case; the fields are those of the config.

    Attributes:
        warmup_steps: Steps at the beginning: a count, or a fraction.
        cooldown_steps: Steps at the end, likewise; None is the last one.
        start: Steps before this fraction.
        end: Steps from this fraction on.
        max_consecutive_reuses: After so many reused steps, one.
    """

    warmup_steps: int | float | None = None
    cooldown_steps: int | float | None = None
    start: float = 0.0
    end: float = 1.0
    max_consecutive_reuses: int | None = None

    @property
    def guard_the_end(self) -> bool:
        """Whether something is asked for at the end of a generation, beyond its last step."""
        return self.end < 1 or bool(self.cooldown_steps)


@dataclass(frozen=True)
class Place:
    """Where a step is in its generation.

    Attributes:
        seen: Steps of its branch before it.
        index: Its number in the generation, from 0: what the pipeline says, else `seen`.
        total: Steps of the generation, None where nobody knows.
        reused: Reused steps of its branch in a row before it.
        way: How much of its way the sampler has come, and how much of it is this step; None where its timesteps are not
            known.
    """

    seen: int
    index: int
    total: int | None
    reused: int
    way: tuple[float, float] | None = None


def forced(guards: Guards, place: Place, *, places_the_end: bool = False) -> str | None:
    """Returns why a step must be computed, or None where the rule decides.

    Args:
        guards: What the user wants.
        place: Where the step is.
        places_the_end: Whether the rule sees to the last step where the user says nothing of it.

    Raises:
        ValueError: If a setting needs the number of steps, and nobody knows it.
    """
    if place.seen < steps_of("warmup_steps", guards.warmup_steps or 0, place.total):
        return "warm-up"
    if place.index < _steps_before("start", guards.start, place.total):
        return "before the window"
    if guards.cooldown_steps is None:
        if place.total is not None and place.index == place.total - 1 and not places_the_end:
            return "last step"
    elif guards.cooldown_steps > 0:
        total = known_total("cooldown_steps", guards.cooldown_steps, place.total)
        if total > place.index >= total - steps_of("cooldown_steps", guards.cooldown_steps, total):
            return "cool-down"
    if guards.end < 1 and place.index >= _steps_before("end", guards.end, place.total):
        return "after the window"
    if guards.max_consecutive_reuses is not None and place.reused >= guards.max_consecutive_reuses:
        return "too many reused"
    return None


def steps_of(name: str, steps: int | float, total: int | None) -> int:
    """Returns a count of steps; a fraction of all steps is rounded up.

    Raises:
        ValueError: If it is a fraction above 0, and nobody knows how many steps there are.
    """
    return _steps_before(name, steps, total) if isinstance(steps, float) else steps


def _steps_before(name: str, fraction: float, total: int | None) -> int:
    return 0 if fraction == 0 else math.ceil(fraction * known_total(name, fraction, total) - ROUNDING)


def opening_steps(guards: Guards, total: int) -> int:
    """Returns how many steps at the beginning of a generation are computed in any case."""
    warm = steps_of("warmup_steps", guards.warmup_steps or 0, total)
    return max(1, warm, _steps_before("start", guards.start, total))


def closing_steps(guards: Guards, total: int, *, unsaid: int) -> int:
    """Returns how many steps at the end of a generation are computed in any case.

    Args:
        guards: What the user wants.
        total: Steps of the generation.
        unsaid: How many there are where the user says nothing of them.
    """
    asked = guards.cooldown_steps
    cooling = unsaid if asked is None else steps_of("cooldown_steps", asked, total)
    return min(total, max(cooling, total - _steps_before("end", guards.end, total)))


def known_total(name: str, value: float, total: int | None) -> int:
    """Returns the number of steps.

    Args:
        name: The setting that needs it.
        value: What it is set to, for the message.
        total: The number, None where nobody knows.

    Raises:
        ValueError: If nobody knows it.
    """
    if total is None:
        raise ValueError(
            f"{name}={value} needs the number of steps, and nobody told it: give num_inference_steps in the config, or "
            f"call refresh(pipeline, num_inference_steps) before the generation"
        )
    return total
