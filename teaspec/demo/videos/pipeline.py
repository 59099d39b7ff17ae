"""diffusers' own `WanPipeline`, unchanged, around the video model."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from torch import Tensor

from teaspec.demo.videos.motions import FRAMES
from teaspec.demo.videos.pixels import LATENT_SIDE, to_videos
from teaspec.demo.videos.prompts import Prompts

SHIFT = 3.0
"""How far the sampler's noise levels lie towards pure noise; that of Wan 2.1 for 480 rows, and that of the training."""

_SPATIAL, _TEMPORAL = 8, 4
"""What `WanPipeline` without a VAE takes a latent to be, in pixels along a side and in frames."""


def pipeline_of(transformer: WanTransformer3DModel) -> WanPipeline:
    """Builds the pipeline without VAE and text encoder; prompt embeddings go in, latents come out."""
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT)
    pipeline = WanPipeline(tokenizer=None, text_encoder=None, vae=None, scheduler=scheduler, transformer=transformer)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(
    pipeline: WanPipeline,
    prompts: Prompts,
    digits: Tensor,
    motions: Tensor,
    *,
    seed: int,
    steps: int,
    guidance: float = 1.0,
    **more: Any,
) -> Tensor:
    """Generates one video of each digit in its motion.

    Args:
        pipeline: The pipeline of `pipeline_of`, hooked or not.
        prompts: The embeddings that the model was trained with.
        digits: What to show, integers of shape (batch,).
        motions: How it moves, numbers of `MOTIONS` of shape (batch,).
        seed: Seed of the noise.
        steps: Denoising steps.
        guidance: `guidance_scale`; above 1 each step runs the transformer twice.
        more: Further arguments of the pipeline.

    Returns:
        Videos of shape (batch, 8, 16, 16), ink in [0, 1].
    """
    embeddings = prompts.embed(digits, motions)
    latents: Tensor = pipeline(
        prompt_embeds=embeddings,
        negative_prompt_embeds=torch.zeros_like(embeddings),
        guidance_scale=guidance,
        height=LATENT_SIDE * _SPATIAL,
        width=LATENT_SIDE * _SPATIAL,
        num_frames=(FRAMES - 1) * _TEMPORAL + 1,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
        **more,
    ).frames
    return to_videos(latents)
