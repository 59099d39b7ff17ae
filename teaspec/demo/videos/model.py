"""The video model as the demo and the benchmarks run it."""

from __future__ import annotations

from typing import Any

from diffusers import WanPipeline, WanTransformer3DModel
from torch import Tensor

from teaspec.demo.trained import TrainedModel
from teaspec.demo.videos import FOLDER
from teaspec.demo.videos.conditions import asked
from teaspec.demo.videos.pipeline import generate, pipeline_of
from teaspec.demo.videos.prompts import Prompts
from teaspec.demo.videos.recognised import recognised


class VideoModel(TrainedModel):
    """A Wan that shows moving digits: all pairs of digit and motion in turn."""

    name = "videos"
    reading = "videos in which the digit and the motion that were asked for are read"
    folder = FOLDER
    transformer_type = WanTransformer3DModel
    prompts_type = Prompts

    def pipeline(self, transformer: Any) -> WanPipeline:
        """Builds a `WanPipeline`."""
        return pipeline_of(transformer)

    def generate(
        self, pipeline: Any, count: int, *, seed: int, steps: int, guidance: float = 1.0, first: int = 0
    ) -> Tensor:
        """Generates videos of what `asked` says."""
        digits, motions = (one[first:] for one in asked(first + count))
        return generate(pipeline, self.prompts, digits, motions, seed=seed, steps=steps, guidance=guidance)

    def recognised(self, made: Tensor) -> float:
        """The share of the videos in which both the wanted digit and the wanted motion are read."""
        return float(recognised(self.classifier, made, *asked(len(made))).float().mean())
