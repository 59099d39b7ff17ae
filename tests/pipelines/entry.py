"""One line of the table of pipelines, and one request to a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

OnStep = Callable[[Any, int], None]
"""Called with the pipeline and the number of the step, where a step of the pipeline ends."""


@dataclass(frozen=True)
class Request:
    """What is asked of a pipeline. Everything in it is drawn anew for each call, as text encoders do.

    Attributes:
        prompt: The seed of the prompt.
        noise: The seed of the noise.
        strength: Where the pipeline begins; of no meaning to pipelines that begin with noise alone.
        large: Whether the image is wider than usual.
        steps: The number of steps asked for.
    """

    prompt: int = 1
    noise: int = 1
    strength: float = 0.8
    large: bool = False
    steps: int = 8

    @property
    def width(self) -> int:
        """The width of the image, as a multiple of its height."""
        return 2 if self.large else 1

    def words(self, **shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
        """The embeddings of the prompt, by the name of the argument."""
        generator = torch.Generator().manual_seed(self.prompt)
        return {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}


@dataclass(frozen=True)
class Entry:
    """A pipeline of diffusers, of small random parts.

    Attributes:
        name: For the id of a test.
        kind: What it makes of what.
        make: Builds it, the same at each call.
        arguments: The arguments of its call that are its own.
        threshold: At this one about half of the calls are reused.
        schedulers: Makes other schedulers that it runs with from the config of its own.
        strength: Whether a part of the steps may be left out, in favour of an image.
        callback: Whether it takes `callback_on_step_end`; else it takes `callback`, as long ago.
        interrupts: Whether it knows `_interrupt`.
        tail: A part of the transformer that runs at each call, computed or reused.
        transformers: The attributes with its transformers.
    """

    name: str
    kind: str
    make: Callable[[], Any]
    arguments: Callable[[Request], dict[str, Any]]
    threshold: float
    schedulers: dict[str, Callable[[Any], Any]]
    strength: bool = False
    callback: bool = True
    interrupts: bool = True
    tail: str = "proj_out"
    transformers: tuple[str, ...] = ("transformer",)

    def build(self) -> Any:
        """A new pipeline, silent."""
        pipe = self.make()
        pipe.set_progress_bar_config(disable=True)
        for module in self.modules(pipe):
            module.eval()
        return pipe

    def modules(self, pipe: Any) -> list[nn.Module]:
        """Its transformers."""
        return [getattr(pipe, name) for name in self.transformers]

    def call(self, pipe: Any, request: Request, on_step: OnStep | None = None) -> torch.Tensor:
        """Makes one generation; returns its latents."""
        arguments = {
            "num_inference_steps": request.steps,
            "generator": torch.Generator().manual_seed(request.noise),
            "output_type": "latent",
            **self.arguments(request),
        }
        if self.strength:
            arguments["strength"] = request.strength
        if on_step is not None and self.callback:
            arguments["callback_on_step_end"] = partial(_end_step, on_step)
        elif on_step is not None:
            arguments["callback"] = lambda step, timestep, latents: on_step(pipe, step)
        return pipe(**arguments)[0]


def _end_step(on_step: OnStep, pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
    on_step(pipe, step)
    return values
