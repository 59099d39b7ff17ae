"""What the demo runs: a trained model in diffusers' own pipeline, from the same noise every time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from teaspec.demo.memory import keep_freed_memory
from teaspec.demo.models import MODELS
from teaspec.demo.settings import DemoSettings, Setting
from teaspec.demo.trained import TrainedModel
from teaspec.runtime.pipeline.apply import apply_teacache_hook, find_teacache_hook, remove_teacache_hook
from teaspec.runtime.settings.config import TeaCacheConfig
from teaspec.runtime.step.hook import TeaCacheHook

MOST_THREADS = 4
"""A transformer this small gains nothing from more."""


@dataclass(frozen=True, eq=False)
class Subject:
    """The model, its pipeline and the settings.

    Attributes:
        model: The trained model.
        pipeline: The pipeline around the transformer.
        settings: What is generated.
    """

    model: TrainedModel
    pipeline: Any
    settings: DemoSettings

    @classmethod
    def make(cls, settings: DemoSettings) -> Subject:
        """Loads the model that is shipped."""
        model = MODELS[settings.model].load()
        return cls(model, model.pipeline(model.transformer), settings)

    def generate(self, guidance: float) -> Tensor:
        """Runs one generation; the same settings always start from the same noise."""
        settings = self.settings
        return self.model.generate(
            self.pipeline, settings.count, seed=settings.seed, steps=settings.steps, guidance=guidance
        )

    def time(self, guidance: float) -> float:
        """Runs one generation and returns its wall time in seconds."""
        gc.collect()
        started = perf_counter()
        self.generate(guidance)
        return perf_counter() - started

    @contextmanager
    def hooked(self, setting: Setting) -> Iterator[TeaCacheHook]:
        """Applies TeaCache to the transformer and takes it off again."""
        transformer = self.model.transformer
        config = TeaCacheConfig(
            rel_l1_thresh=setting.threshold,
            coefficients=list(self.settings.coefficients),
            residual_order=setting.order,
            residual_limit=setting.limit,
            num_inference_steps=self.settings.steps,
        )
        apply_teacache_hook(transformer, config)
        hook = find_teacache_hook(transformer)
        assert hook is not None
        try:
            yield hook
        finally:
            remove_teacache_hook(transformer)


@contextmanager
def quiet() -> Iterator[int]:
    """Fixes the number of threads, keeps memory and keeps the garbage collector out; yields the number of threads."""
    keep_freed_memory()
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
