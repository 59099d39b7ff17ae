"""Quality, operations, evaluations and time of every cache at every value of its knob, for several seeds."""

from __future__ import annotations

import gc
import math
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from comparison.methods import Method
from comparison.subject import Cost, Subject
from teaspec.pictures.nearness import psnr, ssim

_BETWEEN_UNCACHED = 8
"""So many generations are compared with the uncached ones around them: the machine's speed drifts."""


@dataclass(frozen=True)
class Outcome:
    """One seed.

    Attributes:
        operations: Operations over those of the uncached generation.
        evaluations: Evaluations of the transformer over those of the uncached generation.
        psnr: To what the uncached generation made, in dB, the mean over images or videos; None where they are equal.
        ssim: To the same.
        l1: Mean difference, relative to the mean of what the uncached generation made.
        accuracy: Share that is recognised as what was wanted.
    """

    operations: float
    evaluations: float
    psnr: float | None
    ssim: float
    l1: float
    accuracy: float


@dataclass(eq=False)
class Point:
    """One cache at one value.

    Attributes:
        method: The cache.
        knob: Its setting.
        value: The setting's value.
        outcomes: One for each seed.
        time_ratios: Wall time over that of the uncached generations shortly before and after.
    """

    method: str
    knob: str
    value: float
    outcomes: list[Outcome]
    time_ratios: list[float] = field(default_factory=list)

    def of(self, measure: str) -> list[float]:
        """A measure of all seeds, where it is a number."""
        values = [getattr(one, measure) for one in self.outcomes]
        return [one for one in values if one is not None]

    def mean(self, measure: str) -> float | None:
        """The mean over the seeds, or None where a seed has no number."""
        values = self.of(measure)
        return statistics.mean(values) if len(values) == len(self.outcomes) else None

    @property
    def time_ratio(self) -> float:
        """The median over the repetitions."""
        return statistics.median(self.time_ratios)


@dataclass(frozen=True)
class Failure:
    """A cache that does not run on this model."""

    method: str
    error: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that was measured of one model at one guidance scale.

    Attributes:
        model: The model's name.
        guidance: Scale of true CFG.
        threads: Of torch.
        accuracies: Of what the uncached generations made, one for each seed.
        seconds: Wall times of the uncached generation.
        points: What ran.
        failures: What did not.
    """

    model: str
    guidance: float
    threads: int
    accuracies: list[float]
    seconds: list[float]
    points: list[Point]
    failures: list[Failure]


@dataclass(frozen=True, eq=False)
class _Running:
    point: Point
    pipeline: Any
    steps: int


def compare(
    subject: Subject,
    tried: Iterable[Method],
    seeds: Sequence[int],
    repetitions: int,
    report: Callable[[str], None],
) -> Comparison:
    """Measures every method at every value.

    Args:
        subject: What is generated.
        tried: The caches.
        seeds: Seeds of the noise that quality is measured on.
        repetitions: How often everything is timed, in turn.
        report: Told what is being done.
    """
    plain = subject.twin()
    expected = [subject.counted(plain, seed) for seed in seeds]
    running: list[_Running] = []
    failures: list[Failure] = []
    for method in tried:
        report(method.name)
        for value in method.values:
            steps = method.steps(value)
            try:
                pipeline = subject.twin()
                method.apply(pipeline, value)
                made = [subject.counted(pipeline, seed, steps) for seed in seeds]
            except Exception as error:  # whatever a cache fails with is what is reported of it
                failures.append(Failure(method.name, " ".join(f"{type(error).__name__}: {error}".split())))
                break
            outcomes = [_outcome(subject, *one, *uncached) for one, uncached in zip(made, expected, strict=True)]
            running.append(_Running(Point(method.name, method.knob, value, outcomes), pipeline, steps))
    seconds: list[float] = []
    order = random.Random(0)
    for repetition in range(repetitions):
        report(f"timing, repetition {repetition + 1} of {repetitions}")
        gc.collect()
        seconds += _repetition(subject, plain, seeds[0], order.sample(running, len(running)))
    return Comparison(
        model=subject.model.name,
        guidance=subject.guidance,
        threads=torch.get_num_threads(),
        accuracies=[subject.model.recognised(images) for images, _ in expected],
        seconds=seconds,
        points=[one.point for one in running],
        failures=failures,
    )


def _repetition(subject: Subject, plain: Any, seed: int, running: Sequence[_Running]) -> list[float]:
    """Times everything once, a few at a time between two uncached generations, whose times it returns."""
    uncached = [subject.time(plain, seed)]
    for first in range(0, len(running), _BETWEEN_UNCACHED):
        some = running[first : first + _BETWEEN_UNCACHED]
        times = [subject.time(one.pipeline, seed, one.steps) for one in some]
        uncached.append(subject.time(plain, seed))
        for one, seconds in zip(some, times, strict=True):
            one.point.time_ratios.append(seconds / statistics.mean(uncached[-2:]))
    return uncached


def _outcome(subject: Subject, made: torch.Tensor, took: Cost, expected: torch.Tensor, whole: Cost) -> Outcome:
    quality = psnr(made, expected)
    return Outcome(
        operations=took.operations / whole.operations,
        evaluations=took.evaluations / whole.evaluations,
        psnr=None if quality == math.inf else quality,
        ssim=ssim(*(one.reshape(len(one), -1, *one.shape[-2:]) for one in (made, expected))),
        l1=float((made - expected).abs().mean() / expected.abs().mean()),
        accuracy=subject.model.recognised(made),
    )
