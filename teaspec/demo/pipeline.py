"""The demo's pipeline: diffusers' own `FluxPipeline`, unchanged, around a small transformer with random weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

from teaspec.demo.settings import DemoSettings

_TEXT_WIDTH = 512
_POOLED_WIDTH = 256
_LATENT_CHANNELS = 16
_PIXELS_PER_TOKEN = 16


def build_pipeline(settings: DemoSettings) -> FluxPipeline:
    """Builds the pipeline without VAE and text encoders; prompt embeddings go in, latents come out.

    Args:
        settings: Size and seed of the transformer.

    Returns:
        A pipeline on the CPU in float32.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        transformer = FluxTransformer2DModel(
            patch_size=1,
            in_channels=_LATENT_CHANNELS,
            num_layers=settings.double_blocks,
            num_single_layers=settings.single_blocks,
            attention_head_dim=32,
            num_attention_heads=settings.heads,
            joint_attention_dim=_TEXT_WIDTH,
            pooled_projection_dim=_POOLED_WIDTH,
            axes_dims_rope=(8, 12, 12),
        )
    _calm(transformer)
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=None,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        transformer=transformer.eval().requires_grad_(False),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(
    pipeline: FluxPipeline, settings: DemoSettings, on_step: Callable[[int], None] | None = None
) -> torch.Tensor:
    """Runs one generation; the same settings always start from the same noise and prompt embeddings.

    Args:
        pipeline: The pipeline of `build_pipeline`, hooked or not.
        settings: Steps, batch, size and seed.
        on_step: Called with the step's index when the step is done.

    Returns:
        The packed latents, float32 of shape (batch, side * side, channels).
    """

    def on_step_end(_pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if on_step is not None:
            on_step(step)
        return tensors

    noise = torch.Generator().manual_seed(settings.seed + 1)
    prompt = torch.Generator().manual_seed(settings.seed + 2)
    side = settings.side * _PIXELS_PER_TOKEN
    latents: torch.Tensor = pipeline(
        prompt_embeds=torch.randn(settings.batch, settings.text_tokens, _TEXT_WIDTH, generator=prompt),
        pooled_prompt_embeds=torch.randn(settings.batch, _POOLED_WIDTH, generator=prompt),
        height=side,
        width=side,
        num_inference_steps=settings.steps,
        generator=noise,
        output_type="latent",
        callback_on_step_end=on_step_end,
    ).images
    return latents


@torch.no_grad()
def _calm(transformer: FluxTransformer2DModel) -> None:
    """Makes the random model respond to time as a trained one does: smoothly.

    The default initialisation weights all frequencies of the timestep's sinusoids alike, so that the embeddings of two
    neighbouring steps have nothing to do with each other.
    """
    projection = transformer.time_text_embed.timestep_embedder.linear_1.weight
    half = projection.shape[1] // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half) / half)
    projection *= (4 / (1 + 300 * frequencies)).repeat(2)
