"""Plans for a subject, as `teaspec calibrate --budget` finds them: on seeds that nothing is compared on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch

from comparison.subject import Subject
from teaspec.calibrate.choosing import Added
from teaspec.calibrate.plans import Search, find_plans
from teaspec.calibrate.trials import Trials
from teaspec.runtime.rules.plan import Planned


def errors_of(made: torch.Tensor, uncached: torch.Tensor) -> list[float]:
    """The relative L2 error of each image or video."""
    pairs = zip(made.flatten(1), uncached.flatten(1), strict=True)
    return [((one - other).norm() / other.norm()).item() for one, other in pairs]


def planned(subject: Subject, seeds: Sequence[int], forecasts: Sequence[Added], moves: int) -> Callable[[int], Planned]:
    """Returns what searches the plan for a number of computed steps; each is searched once.

    Args:
        subject: The model and what it makes.
        seeds: Those to search with; the last one judges.
        forecasts: What reused steps may add.
        moves: So many neighbours are generated.
    """
    pipeline: Any = subject.twin()
    trials = Trials(pipeline, lambda seed: subject.generate(pipeline, seed), errors_of)

    @cache
    def plan(budget: int) -> Planned:
        search = Search([budget], forecasts, seeds[:-1], seeds[-1:], moves, ranks=False)
        return Planned(budget, find_plans(trials, search).plans)

    return plan
