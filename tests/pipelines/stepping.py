"""Which step each decision belongs to, as the scheduler alone tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import teaspec
from tests.pipelines.entry import Entry, Request

LAST = {"last step", "cool-down"}
FIRST = {"first call", "warm-up"}


def counting(scheduler: Any) -> Any:
    """The scheduler again, of a class that counts its steps."""
    cls = type(scheduler)

    @wraps(cls.step)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return cls.step(self, *args, **kwargs)

    counter = type(f"Counting{cls.__name__}", (cls,), {"count": 0, "step": step}).from_config(scheduler.config)
    assert counter.count == 0
    return counter


@dataclass(frozen=True)
class Placed:
    """A decision, and how many steps the scheduler had made before it."""

    step: int
    transformer: Any = field(compare=False)
    branch: str
    decision: str
    reason: str


@dataclass(frozen=True)
class Run:
    """What was decided, and how many steps the scheduler made in all."""

    placed: list[Placed]
    steps: int

    def reasons(self, *steps: int) -> list[str]:
        """Of the calls at these steps; negative ones count from the end."""
        wanted = {step % self.steps for step in steps}
        return [one.reason for one in self.placed if one.step in wanted]

    def steps_with(self, reasons: set[str]) -> set[int]:
        """The steps with calls that have one of these reasons."""
        return {one.step for one in self.placed if one.reason in reasons}

    def computed(self) -> set[int]:
        """The steps with calls that were computed."""
        return {one.step for one in self.placed if one.decision == "compute"}


def run(entry: Entry, request: Request, scheduler: str | None = None, **settings: Any) -> Run:
    """One generation with TeaCache, switched on by `teaspec.enable` alone."""
    pipe = entry.build()
    if scheduler is not None:
        pipe.scheduler = entry.schedulers[scheduler](pipe.scheduler.config)
    pipe.scheduler = counter = counting(pipe.scheduler)
    placed: list[Placed] = []

    def place(module: Any, one: Any) -> None:
        placed.append(Placed(counter.count, module, one.branch, one.decision, one.reason))

    teaspec.enable(pipe, on_decision=place, **settings)
    entry.call(pipe, request)
    return Run(placed, counter.count)
