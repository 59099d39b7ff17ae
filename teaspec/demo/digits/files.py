"""The files of the digits model: half precision on disk, single in memory."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import FluxTransformer2DModel
from safetensors.torch import load_file, save_file

from teaspec.demo.digits.classifier import Classifier
from teaspec.demo.digits.prompts import Prompts

_TRANSFORMER, _PROMPTS, _CLASSIFIER = "transformer", "prompts.safetensors", "classifier.safetensors"


@dataclass(frozen=True)
class DigitsModel:
    """The transformer, the embeddings it was trained with, and the classifier that reads what it writes."""

    transformer: FluxTransformer2DModel
    prompts: Prompts
    classifier: Classifier


def load(folder: Path) -> DigitsModel:
    """Reads what `save` wrote: everything in float32, in evaluation mode and without gradients."""
    transformer = FluxTransformer2DModel.from_pretrained(folder / _TRANSFORMER, torch_dtype=torch.float32)
    classifier = Classifier()
    classifier.load_state_dict(load_file(folder / _CLASSIFIER))
    return DigitsModel(
        transformer.eval().requires_grad_(False),
        Prompts.load(folder / _PROMPTS),
        classifier.eval().requires_grad_(False),
    )


def save(folder: Path, transformer: FluxTransformer2DModel, prompts: Prompts, classifier: Classifier) -> None:
    """Writes a diffusers model folder in float16, and beside it the prompts and the classifier."""
    copy.deepcopy(transformer).half().save_pretrained(folder / _TRANSFORMER)
    prompts.save(folder / _PROMPTS)
    save_file(classifier.state_dict(), folder / _CLASSIFIER)
