"""Plays a story, and counts what was reused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.runtime.truth.calls import rows_of
from tests.runtime.truth.pipeline import Denoising
from tests.runtime.truth.plans import Round, Rows, Story
from tests.runtime.truth.world import World


@dataclass
class Tally:
    """What was seen over all stories.

    Attributes:
        stories: How many.
        called: Calls of plain generations.
        reused: Those of them that were reused.
    """

    stories: int = 0
    called: int = 0
    reused: int = 0

    @property
    def share(self) -> float:
        """The share of calls that were reused."""
        return self.reused / max(self.called, 1)


def play(story: Story, tally: Tally | None = None) -> None:
    """Plays a story.

    Raises:
        ForeignError: If an output shows the residual of somebody else.
    """
    world = World(story)
    try:
        for one in story.rounds:
            _take_turns(world, one)
    finally:
        world.close()
    if tally is not None:
        tally.stories += 1
        tally.called += world.called
        tally.reused += world.reused


def _take_turns(world: World, one: Round) -> None:
    parts = [rows_of(world, part) if isinstance(part, Rows) else Denoising(world, part).run() for part in one.parts]
    running = list(zip(one.parts, parts, strict=True))
    number = 0
    while running:
        for entry in tuple(running):
            plan, part = entry
            for _ in range(one.turns[number % len(one.turns)]):
                # Calls outside of any session belong to the thread that made the first.
                go_on = _go_on if not (one.threads and plan.session) else _in_thread(world, plan.session)
                if not go_on(part):
                    running.remove(entry)
                    break
            number += 1


def _go_on(part: Iterator[None]) -> bool:
    return next(part, _END) is not _END


def _in_thread(world: World, session: int):  # type: ignore[no-untyped-def]
    return lambda part: world.threads[session].submit(_go_on, part).result()


_END = object()
