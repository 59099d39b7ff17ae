"""FLUX and SD3: from text, from an image, inside a mask, edits."""

from __future__ import annotations

from typing import Any

from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxImg2ImgPipeline,
    FluxInpaintPipeline,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusion3InpaintPipeline,
    StableDiffusion3Pipeline,
)

from tests.pipelines.entry import Entry, Request
from tests.pipelines.parts import DPM, HEUN, SHIFTED, UNIPC, autoencoder, half_mask, image, seeded


def flux(pipeline: Any, with_vae: bool = True) -> Any:
    transformer = seeded(
        FluxTransformer2DModel,
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        axes_dims_rope=(2, 2, 4),
    )
    return pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=autoencoder() if with_vae else None,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        transformer=transformer,
    )


def flux_arguments(request: Request, height: int = 16) -> dict[str, Any]:
    """With true CFG: two calls a step."""
    words = request.words(
        prompt_embeds=(1, 3, 8),
        pooled_prompt_embeds=(1, 8),
        negative_prompt_embeds=(1, 3, 8),
        negative_pooled_prompt_embeds=(1, 8),
    )
    return {**words, "true_cfg_scale": 2.0, "height": height, "width": request.width * height}


def with_image(arguments: dict[str, Any], mask: bool = False) -> dict[str, Any]:
    size = arguments["height"], arguments["width"]
    return {**arguments, "image": image(*size)} | ({"mask_image": half_mask(*size)} if mask else {})


def kontext_arguments(request: Request) -> dict[str, Any]:
    """The image that is edited comes as latents, so there is no autoencoder."""
    arguments = flux_arguments(request, 64)
    return {
        **arguments,
        "image": image(8, 8, channels=16),
        "max_area": arguments["height"] * arguments["width"],
    }


def kontext() -> FluxKontextPipeline:
    transformer = seeded(
        FluxTransformer2DModel,
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        guidance_embeds=True,
        axes_dims_rope=(2, 2, 4),
    )
    none = dict.fromkeys(["vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"])
    return FluxKontextPipeline(scheduler=FlowMatchEulerDiscreteScheduler(), transformer=transformer, **none)


def sd3(pipeline: Any, channels: int = 4) -> Any:
    transformer = seeded(
        SD3Transformer2DModel,
        sample_size=16,
        patch_size=2,
        in_channels=channels,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=8,
        caption_projection_dim=16,
        pooled_projection_dim=8,
        out_channels=channels,
        pos_embed_max_size=16,
    )
    return pipeline(transformer, FlowMatchEulerDiscreteScheduler(), autoencoder(channels), *[None] * 6)


def sd3_arguments(request: Request) -> dict[str, Any]:
    """With CFG in one call of twice the batch."""
    words = request.words(
        prompt_embeds=(1, 5, 8),
        pooled_prompt_embeds=(1, 8),
        negative_prompt_embeds=(1, 5, 8),
        negative_pooled_prompt_embeds=(1, 8),
    )
    return {**words, "guidance_scale": 3.0, "height": 16, "width": 16 * request.width}


SIGMAS = {"unipc": UNIPC, "shifted": SHIFTED}
SCALED = {"heun": HEUN, "shifted": SHIFTED}
ALL = {"heun": HEUN, "unipc": UNIPC, "dpm": DPM, "shifted": SHIFTED}

ENTRIES = [
    Entry("flux", "text to image", lambda: flux(FluxPipeline), flux_arguments, 0.2, SIGMAS),
    Entry(
        "flux-img2img",
        "image to image",
        lambda: flux(FluxImg2ImgPipeline),
        lambda request: with_image(flux_arguments(request)),
        0.2,
        {"shifted": SHIFTED},
        strength=True,
    ),
    Entry(
        "flux-inpaint",
        "inpaint",
        lambda: flux(FluxInpaintPipeline),
        lambda request: with_image(flux_arguments(request), mask=True),
        0.24,
        {"shifted": SHIFTED},
        strength=True,
    ),
    Entry("flux-kontext", "edit", kontext, kontext_arguments, 0.12, SIGMAS),
    Entry("sd3", "text to image", lambda: sd3(StableDiffusion3Pipeline), sd3_arguments, 0.12, ALL),
    Entry(
        "sd3-img2img",
        "image to image",
        lambda: sd3(StableDiffusion3Img2ImgPipeline),
        lambda request: with_image(sd3_arguments(request)),
        0.16,
        SCALED,
        strength=True,
    ),
    Entry(
        "sd3-inpaint",
        "inpaint",
        lambda: sd3(StableDiffusion3InpaintPipeline, 16),
        lambda request: with_image(sd3_arguments(request), mask=True),
        0.2,
        SCALED,
        strength=True,
    ),
]
