"""Generations with one setting or another, and how far their results are from the uncached ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import torch

import teaspec.runtime.pipeline.selection as pipelines
from teaspec.calibrate.residuals import Recorder, Recording, Residuals
from teaspec.calibrate.verify import result_of
from teaspec.runtime.pipeline.pipelines import hooks_of

Settings = dict[str, Any]
"""Those of `teaspec.enable`."""

_LEAST = 1e-9
"""Errors below it are rounding alone and count as this: an exact result has no logarithm."""


@dataclass(frozen=True)
class Outcome:
    """What a setting did.

    Attributes:
        errors: The relative error of each result.
        computed: Steps of a branch that were computed, on average.
    """

    errors: tuple[float, ...]
    computed: float

    @property
    def error(self) -> float:
        """The geometric mean of the errors: one generation that went astray does not outweigh all others."""
        return math.exp(fmean(math.log(max(error, _LEAST)) for error in self.errors))


def relative_l2(made: Any, uncached: Any) -> list[float]:
    """Returns the norm of what two results differ by, over that of the second: one number for all that is in it.

    Args:
        made: What a pipeline returned.
        uncached: What it returned without a cache.
    """
    one, other = result_of(made), result_of(uncached)
    return [float((one - other).norm() / other.norm().clamp_min(torch.finfo(other.dtype).tiny))]


@dataclass(eq=False)
class Trials:
    """Runs generations by number; the same number always gives the same.

    Attributes:
        pipeline: Holds one transformer with a spec.
        run: Makes the generation of a number.
        errors: Compares a result with the uncached one.
        done: Called after each generation.
        steps: What the pipeline is asked for, for those that have no scheduler to tell it.
    """

    pipeline: Any
    run: Callable[[int], Any]
    errors: Callable[[Any, Any], Sequence[float]] = relative_l2
    done: Callable[[], None] = lambda: None
    steps: int | None = None
    _uncached: dict[int, Any] = field(default_factory=dict)
    _outcomes: dict[tuple[str, tuple[int, ...]], Outcome] = field(default_factory=dict)

    def recorded(self, numbers: Sequence[int]) -> list[Residuals]:
        """Runs generations uncached, records their residuals and keeps the results to compare with.

        Args:
            numbers: Which.

        Returns:
            The residuals of each branch that was recorded as a whole.
        """
        found: list[Residuals] = []
        recording = Recording()
        for number in numbers:
            self._uncached[number] = self._made(number, {"rule": Recorder(recording)})
            found += recording.take()
        return found

    def of(self, settings: Settings, numbers: Sequence[int]) -> Outcome:
        """Runs generations with settings; what was run before is known.

        Args:
            settings: Those of `teaspec.enable`.
            numbers: Which generations.

        Returns:
            The errors of their results, and what they took.
        """
        key = repr(sorted(settings.items())), tuple(numbers)
        if key not in self._outcomes:
            self._outcomes[key] = self._run(settings, numbers)
        return self._outcomes[key]

    def _run(self, settings: Settings, numbers: Sequence[int]) -> Outcome:
        errors: list[float] = []
        computed: list[float] = []
        for number in numbers:
            if number not in self._uncached:
                self._uncached[number] = self.run(number)
                self.done()
            made = self._made(number, settings, computed)
            errors += self.errors(made, self._uncached[number])
        return Outcome(tuple(errors), fmean(computed))

    def _made(self, number: int, settings: Settings, computed: list[float] | None = None) -> Any:
        told = {} if self.steps is None else {"num_inference_steps": self.steps}
        with pipelines.enabled(self.pipeline, **told, **settings):
            made = self.run(number)
            if computed is not None:
                computed.append(_computed(self.pipeline))
        self.done()
        return made


def _computed(pipeline: Any) -> float:
    counts = [
        one
        for hook in hooks_of(pipeline).values()
        for one in (hook.counts or (hook.last_generation.counts if hook.last_generation else {})).values()
    ]
    return fmean(one.computed for one in counts)
