"""The digits model as the demo and the benchmarks run it."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from torch import Tensor

from teaspec.demo.digits import FOLDER
from teaspec.demo.digits.classifier import accuracy
from teaspec.demo.digits.pipeline import generate, pipeline_of
from teaspec.demo.digits.prompts import Prompts
from teaspec.demo.trained import TrainedModel


class DigitsModel(TrainedModel):
    """A FLUX that writes 0, 1, ..., 9, 0, ..."""

    name = "digits"
    reading = "images in which a classifier reads the digit that was asked for"
    folder = FOLDER
    transformer_type = FluxTransformer2DModel
    prompts_type = Prompts

    def pipeline(self, transformer: Any) -> FluxPipeline:
        """Builds a `FluxPipeline`."""
        return pipeline_of(transformer)

    def generate(
        self, pipeline: Any, count: int, *, seed: int, steps: int, guidance: float = 1.0, first: int = 0
    ) -> Tensor:
        """Generates images of 0, 1, ..., 9, 0, ..."""
        digits = _digits(first + count)[first:]
        return generate(pipeline, self.prompts, digits, seed=seed, steps=steps, guidance=guidance)

    def recognised(self, made: Tensor) -> float:
        """The share of the images in which the classifier reads the wanted digit."""
        return accuracy(self.classifier, made, _digits(len(made)))


def _digits(count: int) -> Tensor:
    return torch.arange(count) % 10
