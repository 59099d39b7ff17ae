"""What the demo runs: the digits model in diffusers' own pipeline, from the same noise every time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import torch
from diffusers import FluxPipeline
from torch import Tensor

from teaspec.demo.digits import FOLDER
from teaspec.demo.digits.files import DigitsModel, load
from teaspec.demo.digits.pipeline import generate, pipeline_of
from teaspec.demo.memory import keep_freed_memory
from teaspec.demo.settings import DemoSettings, Setting
from teaspec.runtime.pipeline.apply import apply_teacache_hook, find_teacache_hook, remove_teacache_hook
from teaspec.runtime.settings.config import TeaCacheConfig
from teaspec.runtime.step.hook import TeaCacheHook

MOST_THREADS = 4
"""A transformer this small gains nothing from more."""


@dataclass(frozen=True, eq=False)
class Subject:
    """The model, its pipeline and the settings.

    Attributes:
        model: Transformer, prompts and classifier.
        pipeline: The pipeline around the transformer.
        settings: What is generated.
    """

    model: DigitsModel
    pipeline: FluxPipeline
    settings: DemoSettings

    @classmethod
    def make(cls, settings: DemoSettings) -> Subject:
        """Loads the model that is shipped."""
        model = load(FOLDER)
        return cls(model, pipeline_of(model.transformer), settings)

    @property
    def digits(self) -> Tensor:
        """What is written: 0, 1, ..., 9, 0, ..."""
        return torch.arange(self.settings.images) % 10

    def generate(self, guidance: float) -> Tensor:
        """Runs one generation; the same settings always start from the same noise."""
        settings = self.settings
        return generate(
            self.pipeline,
            self.model.prompts,
            self.digits,
            seed=settings.seed,
            steps=settings.steps,
            guidance=guidance,
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
