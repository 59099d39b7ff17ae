"""The digits model, and the generations that all caches are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from teaspec.demo.digits import FOLDER
from teaspec.demo.digits.files import DigitsModel, load
from teaspec.demo.digits.pipeline import generate, pipeline_of
from teaspec.demo.twin import twin

STEPS = 28


@dataclass(frozen=True, eq=False)
class Subject:
    """The model and what it writes.

    Attributes:
        model: Transformer, prompts and classifier.
        images: Images generated at once.
        guidance: `true_cfg_scale`.
        seed: Seed of the noise.
    """

    model: DigitsModel
    images: int
    guidance: float
    seed: int = 0

    @classmethod
    def make(cls, images: int, guidance: float) -> Subject:
        return cls(load(FOLDER), images, guidance)

    @property
    def digits(self) -> torch.Tensor:
        return torch.arange(self.images) % 10

    def twin(self) -> Any:
        """A pipeline of its own around a transformer of its own, which reads the same weights."""
        return pipeline_of(twin(self.model.transformer))

    def generate(self, pipeline: Any, seed: int | None = None) -> torch.Tensor:
        """Images of shape (images, 16, 16), ink in [0, 1]."""
        return generate(
            pipeline,
            self.model.prompts,
            self.digits,
            seed=self.seed if seed is None else seed,
            steps=STEPS,
            guidance=self.guidance,
        )

    def time(self, pipeline: Any) -> float:
        """Wall time of a generation in seconds."""
        started = perf_counter()
        self.generate(pipeline)
        return perf_counter() - started

    def counted(self, pipeline: Any) -> tuple[torch.Tensor, int]:
        """Images, and the floating point operations they took: matrix products, convolutions and attention."""
        with FlopCounterMode(display=False) as counter:
            images = self.generate(pipeline)
        return images, int(counter.get_total_flops())
