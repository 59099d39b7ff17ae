"""The measurements: uncached and cached generations in turn, and the hook against no hook."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from diffusers import FluxPipeline

from teaspec.demo.pipeline import generate
from teaspec.demo.result import CachedRun, Spread
from teaspec.demo.settings import DemoSettings
from teaspec.demo.timing import Timed, time_generation
from teaspec.runtime.apply import apply_teacache_hook, find_teacache_hook, remove_teacache_hook
from teaspec.runtime.config import TeaCacheConfig
from teaspec.runtime.hook import TeaCacheHook
from teaspec.runtime.record import Decision

Report = Callable[[str], None]


def observe(
    pipeline: FluxPipeline, settings: DemoSettings, threshold: float
) -> tuple[torch.Tensor, tuple[Decision, ...]]:
    """Generates once at a threshold and returns the latents and what was decided at each step.

    Raises:
        RuntimeError: If the hook saw no step.
    """
    with hooked(pipeline, settings, threshold) as hook:
        latents = generate(pipeline, settings)
    # The pipeline resets the hook when it is done; the record of the generation outlives that.
    if hook.last_generation is None:
        raise RuntimeError("the pipeline ran without calling the hooked transformer")
    return latents, hook.last_generation.decisions


@contextmanager
def hooked(pipeline: FluxPipeline, settings: DemoSettings, threshold: float) -> Iterator[TeaCacheHook]:
    """Applies TeaCache to the pipeline's transformer and takes it off again."""
    transformer = pipeline.transformer
    apply_teacache_hook(transformer, TeaCacheConfig(rel_l1_thresh=threshold, coefficients=list(settings.coefficients)))
    hook = find_teacache_hook(transformer)
    assert hook is not None
    try:
        yield hook
    finally:
        remove_teacache_hook(transformer)


def measure_runs(
    pipeline: FluxPipeline, settings: DemoSettings, report: Report
) -> tuple[Spread, tuple[CachedRun, ...]]:
    """Measures uncached generations and those at each threshold, interleaved.

    The first generation of each kind warms up and shows the decisions; the timed ones follow in rounds (uncached, first
    threshold, second, ..., uncached, ...), so that a drift of the machine's speed meets all of them.

    Returns:
        Wall time of an uncached generation in seconds, and one `CachedRun` per threshold.
    """
    report("warm-up")
    expected = generate(pipeline, settings)
    observed = [observe(pipeline, settings, threshold) for threshold in settings.thresholds]

    plain: list[Timed] = []
    cached: list[list[Timed]] = [[] for _ in settings.thresholds]
    for number in range(1, settings.rounds + 1):
        report(f"round {number} of {settings.rounds}")
        plain.append(time_generation(pipeline, settings))
        for threshold, timed in zip(settings.thresholds, cached, strict=True):
            with hooked(pipeline, settings, threshold):
                timed.append(time_generation(pipeline, settings))

    runs = tuple(
        _summary(threshold, steps, relative_error(latents, expected), timed, plain)
        for threshold, (latents, steps), timed in zip(settings.thresholds, observed, cached, strict=True)
    )
    return Spread.of(run.seconds for run in plain), runs


def relative_error(result: torch.Tensor, expected: torch.Tensor) -> float:
    """Returns the mean difference relative to the mean magnitude of `expected`."""
    return float((result - expected).abs().mean() / expected.abs().mean())


def _summary(
    threshold: float, steps: tuple[Decision, ...], error: float, timed: list[Timed], plain: list[Timed]
) -> CachedRun:
    # Step times start at the second step; the first is computed in any case.
    later = [step.decision for step in steps[1:]]
    reused = [seconds for run in timed for what, seconds in zip(later, run.steps, strict=True) if what == "reuse"]
    uncached_step = statistics.median(seconds for run in plain for seconds in run.steps)
    return CachedRun(
        threshold=threshold,
        steps=steps,
        seconds=Spread.of(run.seconds for run in timed),
        time_ratio=Spread.of(run.seconds / base.seconds for run, base in zip(timed, plain, strict=True)),
        reused_cost=statistics.median(reused) / uncached_step if reused else 0.0,
        error=error,
    )
