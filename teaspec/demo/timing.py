"""Wall times with as little noise as one process can manage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter

import torch
from diffusers import FluxPipeline

from teaspec.demo.pipeline import generate
from teaspec.demo.settings import DemoSettings

MOST_THREADS = 4
"""A transformer this small gains nothing from more."""


@dataclass(frozen=True, eq=False)
class Timed:
    """One timed generation.

    Attributes:
        latents: The result.
        seconds: Wall time of the pipeline call.
        steps: Wall time of each step but the first, which holds the pipeline's preparations.
    """

    latents: torch.Tensor
    seconds: float
    steps: tuple[float, ...]


@contextmanager
def quiet() -> Iterator[int]:
    """Fixes the number of threads and keeps the garbage collector out; yields the number of threads."""
    threads = torch.get_num_threads()
    fixed = min(threads, MOST_THREADS)
    torch.set_num_threads(fixed)
    gc.collect()
    gc.disable()
    try:
        yield fixed
    finally:
        gc.enable()
        torch.set_num_threads(threads)


def time_generation(pipeline: FluxPipeline, settings: DemoSettings) -> Timed:
    """Runs one generation and takes the time, also at the end of each step."""
    gc.collect()
    stamps: list[float] = []
    started = perf_counter()
    latents = generate(pipeline, settings, lambda _step: stamps.append(perf_counter()))
    seconds = perf_counter() - started
    steps = tuple(after - before for before, after in pairwise(stamps))
    return Timed(latents, seconds, steps)
