"""A pipeline that takes prompts, and how the command line gets it."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from tests.runtime.models import flux_pipeline, generate, tiny_flux


class Prompted:
    """A pipeline that draws its embeddings from the prompt, around diffusers' own."""

    def __init__(self, cfg: bool = False) -> None:
        self.transformer = tiny_flux()
        self._pipeline, self._cfg = flux_pipeline(self.transformer), cfg

    def __call__(self, prompt: str, num_inference_steps: int, generator: torch.Generator) -> Any:
        generator.manual_seed(100 * generator.initial_seed() + len(prompt))
        return generate(self._pipeline, num_inference_steps, self._cfg, generator=generator)


def make() -> Prompted:
    return Prompted()


def make_with_run() -> tuple[Prompted, Any]:
    pipeline = Prompted()
    return pipeline, partial(_run, pipeline)


def _run(pipeline: Prompted, prompt: str, *, seed: int, num_inference_steps: int, scale: float = 1.0) -> torch.Tensor:
    made: torch.Tensor = pipeline(prompt, num_inference_steps, torch.Generator().manual_seed(seed))
    return scale * made


nothing = 3


def make_nothing() -> int:
    return nothing
