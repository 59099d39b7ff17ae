"""One generation of a diffusers pipeline, or of one that is called like it."""

from __future__ import annotations

import inspect
from typing import Any

import torch


def generate(pipeline: Any, prompt: str, *, seed: int, result: str = "latent", **arguments: Any) -> Any:
    """Runs a pipeline on a prompt and returns its result.

    Args:
        pipeline: A pipeline of diffusers, or what is called like one.
        prompt: What the pictures are to show.
        seed: Seed of its generator.
        result: Its `output_type`, where it takes one and `arguments` has none.
        **arguments: Further arguments.
    """
    parameters = inspect.signature(pipeline.__call__).parameters
    if "generator" in parameters:
        arguments.setdefault("generator", torch.Generator().manual_seed(seed))
    if "output_type" in parameters:
        arguments.setdefault("output_type", result)
    return pipeline(prompt=prompt, **arguments)
