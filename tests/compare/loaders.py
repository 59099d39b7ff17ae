"""Small random pipelines of diffusers, as users hand them to `teaspec compare`; and those that they should not."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import WanPipeline

import teaspec
from tests.pipelines.entry import Request
from tests.pipelines.parts import wan_autoencoder
from tests.pipelines.table import BY_NAME
from tests.pipelines.videos import wan, wan_arguments

SD3 = BY_NAME["sd3"]


class Prompted:
    """A pipeline that takes a prompt, around one of diffusers' without text encoders."""

    def __init__(self, pipeline: Any, arguments: Any) -> None:
        self.transformer = pipeline.transformer
        self.scheduler = pipeline.scheduler
        self._inner, self._arguments = pipeline, arguments

    def __call__(
        self,
        prompt: str,
        num_inference_steps: int,
        generator: torch.Generator,
        output_type: str = "pil",
        **arguments: Any,
    ) -> Any:
        words = self._arguments(Request(prompt=sum(prompt.encode())))
        return self._inner(
            **{**words, **arguments},
            num_inference_steps=num_inference_steps,
            generator=generator,
            output_type=output_type,
        )


def sd3() -> Prompted:
    return Prompted(SD3.build(), SD3.arguments)


def sd3_scaled() -> tuple[Prompted, dict[str, Any]]:
    return sd3(), {"guidance_scale": 1.0}


def wan_video() -> Prompted:
    pipeline = wan(WanPipeline, vae=wan_autoencoder())
    pipeline.set_progress_bar_config(disable=True)
    return Prompted(pipeline, wan_arguments)


def run_by_hand() -> tuple[Any, Any]:
    pipeline = SD3.build()

    def run(prompt: str, *, seed: int, num_inference_steps: int) -> Any:
        arguments = SD3.arguments(Request(prompt=sum(prompt.encode())))
        generator = torch.Generator().manual_seed(seed)
        return pipeline(**arguments, num_inference_steps=num_inference_steps, generator=generator, output_type="pt")

    return pipeline, run


def restless() -> tuple[Prompted, Any]:
    """Its noise is another one each time."""
    pipeline = sd3()
    return pipeline, lambda prompt, *, seed, num_inference_steps: pipeline(
        prompt, num_inference_steps, torch.Generator(), output_type="np", latents=torch.randn(1, 4, 8, 8)
    )


def latents() -> tuple[Prompted, dict[str, Any]]:
    return sd3(), {"output_type": "latent"}


def failing() -> tuple[Prompted, Any]:
    """It fails where it is cached."""
    pipeline = sd3()

    def run(prompt: str, *, seed: int, num_inference_steps: int) -> Any:
        if teaspec.find_teacache_hook(pipeline.transformer) is not None:
            raise OverflowError("too hot")
        return pipeline(prompt, num_inference_steps, torch.Generator().manual_seed(seed), output_type="np")

    return pipeline, run


def elsewhere() -> tuple[Prompted, Any]:
    """It runs another transformer than the one that it shows."""
    other = sd3()
    return sd3(), lambda prompt, *, seed, num_inference_steps: other(
        prompt, num_inference_steps, torch.Generator().manual_seed(seed), output_type="np"
    )


def cached_already() -> Prompted:
    pipeline = sd3()
    teaspec.enable(pipeline, budget=3)
    return pipeline


def no_transformer() -> Any:
    return lambda prompt: prompt


def three() -> tuple[int, int, int]:
    return 1, 2, 3


def number() -> int:
    return 3


nothing = 3
