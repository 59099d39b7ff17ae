"""A trained model, and the generations that all caches are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from comparison.operations import Operations
from teaspec.demo.models import MODELS
from teaspec.demo.trained import TrainedModel
from teaspec.demo.twin import twin

STEPS = 28

LAST = {"digits": "single_transformer_blocks.5.proj_mlp", "videos": "blocks.5.ffn.net.2"}
"""A layer at the end of each model that no cache of attention skips: where it runs, the model is evaluated."""


@dataclass(frozen=True)
class Cost:
    """What a generation took.

    Attributes:
        operations: Floating point operations: matrix products, convolutions and attention.
        evaluations: Calls of the transformer that ran its last block.
    """

    operations: int
    evaluations: int


@dataclass(frozen=True, eq=False)
class Subject:
    """The model and what it makes.

    Attributes:
        model: Transformer, prompts and classifier.
        count: Images or videos generated at once.
        guidance: Scale of true CFG.
    """

    model: TrainedModel
    count: int
    guidance: float

    @classmethod
    def make(cls, name: str, count: int, guidance: float) -> Subject:
        return cls(MODELS[name].load(), count, guidance)

    def twin(self) -> Any:
        """A pipeline of its own around a transformer of its own, which reads the same weights."""
        return self.model.pipeline(twin(self.model.transformer))

    def generate(self, pipeline: Any, seed: int, steps: int = STEPS) -> torch.Tensor:
        """Images of shape (count, 16, 16) or videos of shape (count, frames, 16, 16), ink in [0, 1]."""
        return self.model.generate(pipeline, self.count, seed=seed, steps=steps, guidance=self.guidance)

    def time(self, pipeline: Any, seed: int, steps: int = STEPS) -> float:
        """Wall time of a generation in seconds."""
        started = perf_counter()
        self.generate(pipeline, seed, steps)
        return perf_counter() - started

    def counted(self, pipeline: Any, seed: int, steps: int = STEPS) -> tuple[torch.Tensor, Cost]:
        """What a generation made, and what it took."""
        evaluations = 0

        def count(*_: Any) -> None:
            nonlocal evaluations
            evaluations += 1

        handle = pipeline.transformer.get_submodule(LAST[self.model.name]).register_forward_hook(count)
        try:
            with Operations() as counted:
                made = self.generate(pipeline, seed, steps)
        finally:
            handle.remove()
        return made, Cost(counted.total, evaluations)
