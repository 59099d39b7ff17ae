"""How a generation ends, and what may be asked for afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from tests.pipelines.entry import Entry, Request
from tests.pipelines.hooked import Hooked

FIRST = Request()
"""What is asked for first."""

STOP_AFTER = 2
"""The step after which a generation is given up in its midst."""

FAILING_CALL = 3
"""The call that fails. With two calls a step it is the second of them."""

Ending = Callable[[Hooked], None]


class CancelledError(Exception):
    """Raised by the one who waited for the generation."""


def end(hooked: Hooked) -> None:
    hooked.generate(FIRST)


def cancel(hooked: Hooked, after: int) -> None:
    """An exception in the callback, at the end of a step."""

    def on_step(pipe: Any, step: int) -> None:
        if step == after:
            raise CancelledError

    with pytest.raises(CancelledError):
        hooked.generate(FIRST, on_step)


def interrupt(hooked: Hooked) -> None:
    """The pipeline goes on to its end without calling its transformer."""
    ended = []

    def on_step(pipe: Any, step: int) -> None:
        ended.append(step)
        pipe._interrupt = step == STOP_AFTER

    hooked.generate(FIRST, on_step)
    assert ended == list(range(STOP_AFTER + 1))


def fail(hooked: Hooked) -> None:
    """An exception within a call of the transformer."""
    calls = 0

    def on_call(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > FAILING_CALL:
            raise CancelledError

    tails = [module.get_submodule(hooked.entry.tail) for module in hooked.entry.modules(hooked.pipe)]
    handles = [tail.register_forward_hook(on_call) for tail in tails]
    with pytest.raises(CancelledError):
        hooked.generate(FIRST)
    for handle in handles:
        handle.remove()


def endings(entry: Entry) -> dict[str, Ending]:
    """The ways in which a generation of a pipeline ends, by name."""
    every: dict[str, Ending] = {
        "cancelled": partial(cancel, after=STOP_AFTER),
        "ended": end,
        "failed": fail,
        "interrupted": interrupt,
        "cancelled-at-once": partial(cancel, after=0),
    }
    if not entry.interrupts:
        del every["interrupted"]
    return every


@dataclass(frozen=True)
class Afterwards:
    """What is asked for after that; the scheduler is changed before it."""

    request: Request
    scheduler: str | None = None


def afterwards(entry: Entry) -> dict[str, Afterwards]:
    """What differs, by name."""
    every = {
        "the-same": Afterwards(FIRST),
        "other-prompt": Afterwards(replace(FIRST, prompt=2)),
        "other-size": Afterwards(replace(FIRST, large=True)),
    }
    if entry.strength:
        every["weaker"] = Afterwards(replace(FIRST, strength=0.5))
        every["stronger"] = Afterwards(replace(FIRST, strength=1.0))
    for name in entry.schedulers:
        every[f"scheduler-{name}"] = Afterwards(FIRST, name)
    return every


def asked_each_time(entry: Entry) -> dict[str, Afterwards]:
    """Those that are tried without `-m thorough`: of the other schedulers there is but one."""
    every = afterwards(entry)
    return dict(list(every.items())[: len(every) - len(entry.schedulers) + 1])


def cells(entry: Entry) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """All pairs of an ending and what follows: those that are tried each time, and the others.

    In the first is each ending and each thing that follows, and all that follows a cancelled one where a generation may
    begin further along, for that goes on in the direction of the cancelled one.
    """
    ways, few = list(endings(entry)), list(asked_each_time(entry))
    every = [(way, wish) for way in ways for wish in afterwards(entry)]
    chosen = {("cancelled", wish) for wish in few if entry.strength}
    chosen |= {(ways[k % len(ways)], few[k % len(few)]) for k in range(max(len(ways), len(few)))}
    return [pair for pair in every if pair in chosen], [pair for pair in every if pair not in chosen]
