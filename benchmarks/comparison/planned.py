"""Plans for a subject, as `teaspec calibrate --budget` finds them: on seeds that nothing is compared on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch

from comparison.subject import STEPS, Subject
from teaspec.calibrate.plans import Search, find_plans, mask_of
from teaspec.calibrate.trials import Trials
from teaspec.runtime.rules.forecast import Kind
from teaspec.runtime.rules.schedule import Mask


def errors_of(made: torch.Tensor, uncached: torch.Tensor) -> list[float]:
    """The relative L2 error of each image or video."""
    pairs = zip(made.flatten(1), uncached.flatten(1), strict=True)
    return [((one - other).norm() / other.norm()).item() for one, other in pairs]


def planned(subject: Subject, seeds: Sequence[int], kind: Kind, limit: float, moves: int) -> Callable[[int], Mask]:
    """Returns what searches the plan for a number of computed steps; each is searched once.

    Args:
        subject: The model and what it makes.
        seeds: Those to search with; the last one judges.
        kind: What reused steps add.
        limit: The `residual_limit` of that.
        moves: So many neighbours are generated.
    """
    pipeline: Any = subject.twin()
    trials = Trials(pipeline, lambda seed: subject.generate(pipeline, seed), errors_of)

    @cache
    def plan(budget: int) -> Mask:
        search = Search([budget], [(kind, limit)], seeds[:-1], seeds[-1:], moves, ranks_others=False)
        (found,) = find_plans(trials, search).plans
        return Mask(mask_of(found.computed, STEPS))

    return plan
