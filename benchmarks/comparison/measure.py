"""Quality, operations and time of every cache at every value of its knob, interleaved."""

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
from comparison.subject import Subject
from teaspec.demo.digits.classifier import accuracy
from teaspec.pictures.nearness import psnr

_BETWEEN_UNCACHED = 8
"""So many generations are compared with the uncached ones around them: the machine's speed drifts."""


@dataclass(eq=False)
class Point:
    """One cache at one value.

    Attributes:
        method: The cache.
        knob: Its setting.
        value: The setting's value.
        flop_ratio: Operations over those of the uncached generation.
        psnr: Of the images to the uncached ones, in dB, the mean over them; None where they are equal.
        l1: Mean difference of the images, relative to the mean of the uncached ones.
        accuracy: Share of digits that the classifier reads as wanted.
        time_ratios: Wall time over that of the uncached generations shortly before and after.
    """

    method: str
    knob: str
    value: float
    flop_ratio: float
    psnr: float | None
    l1: float
    accuracy: float
    time_ratios: list[float] = field(default_factory=list)

    @property
    def time_ratio(self) -> float:
        return statistics.median(self.time_ratios)


@dataclass(frozen=True)
class Failure:
    """A cache that does not run on this model."""

    method: str
    error: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that was measured at one guidance scale.

    Attributes:
        guidance: `true_cfg_scale`.
        accuracy: Of the uncached images.
        seconds: Wall times of the uncached generation.
        points: What ran.
        failures: What did not.
    """

    guidance: float
    accuracy: float
    seconds: list[float]
    points: list[Point]
    failures: list[Failure]


def compare(subject: Subject, tried: Iterable[Method], repetitions: int, report: Callable[[str], None]) -> Comparison:
    """Measures every method at every value.

    Args:
        subject: What is generated.
        tried: The caches.
        repetitions: How often everything is timed, in turn.
        report: Told what is being done.
    """
    plain = subject.twin()
    expected, whole = subject.counted(plain)
    running: list[tuple[Point, Any]] = []
    failures: list[Failure] = []
    for method in tried:
        report(method.name)
        for value in method.values:
            try:
                pipeline = subject.twin()
                method.apply(pipeline, value)
                images, flops = subject.counted(pipeline)
                point = _point(subject, method, value, images, expected, flops / whole)
            except Exception as error:  # whatever a cache fails with is what is reported of it
                failures.append(Failure(method.name, " ".join(f"{type(error).__name__}: {error}".split())))
                break
            running.append((point, pipeline))
    seconds: list[float] = []
    order = random.Random(0)
    for repetition in range(repetitions):
        report(f"timing, repetition {repetition + 1} of {repetitions}")
        gc.collect()
        seconds += _repetition(subject, plain, order.sample(running, len(running)))
    read = accuracy(subject.model.classifier, expected, subject.digits)
    return Comparison(subject.guidance, read, seconds, [point for point, _ in running], failures)


def _repetition(subject: Subject, plain: Any, running: Sequence[tuple[Point, Any]]) -> list[float]:
    """Times everything once, a few at a time between two uncached generations, whose times it returns."""
    uncached = [subject.time(plain)]
    for first in range(0, len(running), _BETWEEN_UNCACHED):
        some = running[first : first + _BETWEEN_UNCACHED]
        times = [subject.time(pipeline) for _, pipeline in some]
        uncached.append(subject.time(plain))
        for (point, _), seconds in zip(some, times, strict=True):
            point.time_ratios.append(seconds / statistics.mean(uncached[-2:]))
    return uncached


def _point(
    subject: Subject, method: Method, value: float, images: torch.Tensor, expected: torch.Tensor, flop_ratio: float
) -> Point:
    difference = images - expected
    quality = psnr(images, expected)
    return Point(
        method=method.name,
        knob=method.knob,
        value=value,
        flop_ratio=flop_ratio,
        psnr=None if quality == math.inf else quality,
        l1=float(difference.abs().mean() / expected.abs().mean()),
        accuracy=accuracy(subject.model.classifier, images, subject.digits),
    )
