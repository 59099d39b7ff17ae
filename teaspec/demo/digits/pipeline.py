"""diffusers' own `FluxPipeline`, unchanged, around the digits model."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from torch import Tensor

from teaspec.demo.digits.pixels import PATCH, SIDE, to_images
from teaspec.demo.digits.prompts import NOTHING, Prompts

_PIXELS_PER_TOKEN = 16
"""What `FluxPipeline` without a VAE takes the side of a token to be, in pixels of its `height` and `width`."""


def pipeline_of(transformer: FluxTransformer2DModel) -> FluxPipeline:
    """Builds the pipeline without VAE and text encoders; prompt embeddings go in, latents come out."""
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=None,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(
    pipeline: FluxPipeline,
    prompts: Prompts,
    digits: Tensor,
    *,
    seed: int,
    steps: int,
    guidance: float = 1.0,
    **more: Any,
) -> Tensor:
    """Generates one image of each digit.

    Args:
        pipeline: The pipeline of `pipeline_of`, hooked or not.
        prompts: The embeddings that the model was trained with.
        digits: What to write, integers of shape (batch,).
        seed: Seed of the noise.
        steps: Denoising steps.
        guidance: `true_cfg_scale`; above 1 each step runs the transformer twice.
        more: Further arguments of the pipeline.

    Returns:
        Images of shape (batch, 16, 16), ink in [0, 1].
    """
    nothing = torch.full_like(digits, NOTHING)
    side = SIDE // PATCH * _PIXELS_PER_TOKEN
    latents: Tensor = pipeline(
        prompt_embeds=prompts.tokens[digits],
        pooled_prompt_embeds=prompts.pooled[digits],
        negative_prompt_embeds=prompts.tokens[nothing],
        negative_pooled_prompt_embeds=prompts.pooled[nothing],
        true_cfg_scale=guidance,
        height=side,
        width=side,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
        **more,
    ).images
    return to_images(latents)
