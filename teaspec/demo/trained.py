"""A trained model that is shipped: its files, and what the demo and the benchmarks ask of it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers import ModelMixin
from safetensors.torch import load_file, save_file
from torch import Tensor

from teaspec.demo.digits.classifier import Classifier

if TYPE_CHECKING:
    from typing_extensions import Self

_TRANSFORMER, _PROMPTS, _CLASSIFIER = "transformer", "prompts.safetensors", "classifier.safetensors"


@dataclass(frozen=True)
class TrainedModel(ABC):
    """A small transformer, the prompts it knows, and the classifier that reads what it writes.

    Attributes:
        transformer: In evaluation mode.
        prompts: The embeddings it was trained with, a dataclass of tensors.
        classifier: Reads digits in images of 16x16 pixels.
        name: What it makes.
        reading: What `recognised` tells the share of.
        folder: Where it is shipped.
        transformer_type: diffusers' own class.
        prompts_type: The class of the prompts.
    """

    transformer: Any
    prompts: Any
    classifier: Classifier

    name: ClassVar[str]
    reading: ClassVar[str]
    folder: ClassVar[Path]
    transformer_type: ClassVar[type[ModelMixin]]
    prompts_type: ClassVar[type[Any]]

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Reads what `save` wrote, or what is shipped: everything in float32 and without gradients."""
        folder = folder or cls.folder
        transformer = cls.transformer_type.from_pretrained(folder / _TRANSFORMER, torch_dtype=torch.float32)
        classifier = Classifier()
        classifier.load_state_dict(load_file(folder / _CLASSIFIER))
        return cls(
            transformer.eval().requires_grad_(False),
            cls.prompts_type(**load_file(folder / _PROMPTS)),
            classifier.eval().requires_grad_(False),
        )

    def save(self, folder: Path) -> None:
        """Writes a diffusers model folder in float16, and beside it the prompts and the classifier."""
        copy.deepcopy(self.transformer).half().save_pretrained(folder / _TRANSFORMER)
        save_file(vars(self.prompts), folder / _PROMPTS)
        save_file(self.classifier.state_dict(), folder / _CLASSIFIER)

    @abstractmethod
    def pipeline(self, transformer: Any) -> Any:
        """Builds diffusers' own pipeline around the transformer or a copy of it."""

    @abstractmethod
    def generate(
        self, pipeline: Any, count: int, *, seed: int, steps: int, guidance: float = 1.0, first: int = 0
    ) -> Tensor:
        """Generates images of shape (count, 16, 16) or videos of shape (count, frames, 16, 16), ink in [0, 1].

        Args:
            pipeline: What `pipeline` built, hooked or not.
            count: How many.
            seed: Seed of the noise.
            steps: Denoising steps.
            guidance: Scale of true CFG; above 1 each step runs the transformer twice.
            first: The number of the first prompt; the others follow it, always the same.
        """

    @abstractmethod
    def recognised(self, made: Tensor) -> float:
        """The share of what `generate` made that shows what it was asked for."""
