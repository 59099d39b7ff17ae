"""A pipeline with TeaCache, and what is decided in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

import teaspec
from teaspec import TeaCacheHook, find_teacache_hook
from tests.pipelines.entry import Entry, OnStep, Request
from tests.pipelines.table import BY_NAME

IDENTITY = [0, 0, 0, 1, 0]


@dataclass(frozen=True)
class Decided:
    """What matters of a decision.

    Attributes:
        transformer: The attribute of the pipeline.
        branch: As the hook names it.
        step: As the hook counts it.
        decision: `compute` or `reuse`.
        reason: Why.
        distance: How far the input has moved.
    """

    transformer: str
    branch: str
    step: int
    decision: str
    reason: str
    distance: float | None

    @classmethod
    def of(cls, transformer: str, decision: Any) -> Decided:
        return cls(transformer, decision.branch, decision.step, decision.decision, decision.reason, decision.distance)


@dataclass(frozen=True, eq=False)
class Generation:
    """What a pipeline returned, and what was decided on the way."""

    image: torch.Tensor
    decided: list[Decided]

    @property
    def reused(self) -> float:
        """The share of the calls that were."""
        return sum(one.decision == "reuse" for one in self.decided) / len(self.decided)


class Hooked:
    """A new pipeline of the table, with TeaCache from the beginning, unless it is to have none."""

    def __init__(self, entry: Entry, scheduler: str | None = None, plain: bool = False, **settings: Any) -> None:
        self.entry = entry
        self.pipe = entry.build()
        self._told: list[Decided] = []
        if scheduler is not None:
            self.swap(scheduler)
        if not settings.keys() & {"rule", "budget", "tolerance"}:
            settings = {"rel_l1_thresh": entry.threshold, "coefficients": IDENTITY, **settings}
        if not plain:
            teaspec.enable(self.pipe, on_decision=self._tell, **settings)

    def swap(self, scheduler: str) -> None:
        """Gives the pipeline another scheduler, as its users do."""
        self.pipe.scheduler = self.entry.schedulers[scheduler](self.pipe.scheduler.config)

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Makes one generation; what was decided before it is left out."""
        self._told.clear()
        image = self.entry.call(self.pipe, request, on_step)
        return Generation(image, list(self._told))

    def hooks(self) -> dict[str, TeaCacheHook]:
        return {name: find_teacache_hook(getattr(self.pipe, name)) for name in self.entry.transformers}

    def _tell(self, module: Any, decision: Any) -> None:
        transformer = next(name for name in self.entry.transformers if getattr(self.pipe, name) is module)
        self._told.append(Decided.of(transformer, decision))


@cache
def fresh(name: str, request: Request, scheduler: str | None = None) -> Generation:
    """The first generation of a new pipeline, which had its scheduler before it had TeaCache."""
    return Hooked(BY_NAME[name], scheduler).generate(request)


@cache
def uncached(name: str, request: Request, scheduler: str | None = None) -> torch.Tensor:
    """The same without TeaCache."""
    return uncached_again(BY_NAME[name], request, scheduler)


def uncached_again(entry: Entry, request: Request, scheduler: str | None = None) -> torch.Tensor:
    """The same, made anew."""
    return Hooked(entry, scheduler, plain=True).generate(request).image
