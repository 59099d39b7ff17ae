"""Videos: from text, from an image, from a video, edits of one."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diffusers import (
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    CogVideoXVideoToVideoPipeline,
    CosmosTextToWorldPipeline,
    CosmosTransformer3DModel,
    EDMEulerScheduler,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    LucyEditPipeline,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
    WanVideoToVideoPipeline,
)

from tests.pipelines.entry import Entry, Request
from tests.pipelines.parts import (
    DPM,
    EULER,
    FLOW,
    HEUN,
    NOISE_DPM,
    NOISE_HEUN,
    NOISE_UNIPC,
    SHIFTED,
    UNIPC,
    image,
    seeded,
    wan_autoencoder,
)


def wan_transformer(in_channels: int = 4) -> WanTransformer3DModel:
    return seeded(
        WanTransformer3DModel,
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=in_channels,
        out_channels=4,
        text_dim=8,
        freq_dim=32,
        ffn_dim=32,
        rope_max_seq_len=32,
        num_layers=2,
    )


def wan(pipeline: Any, in_channels: int = 4, vae: Any = None, **settings: Any) -> Any:
    """With UniPC, as it is shipped."""
    return pipeline(
        tokenizer=None,
        text_encoder=None,
        vae=vae,
        scheduler=UniPCMultistepScheduler(**FLOW, flow_shift=3.0),
        transformer=wan_transformer(in_channels),
        **settings,
    )


def wan22() -> WanPipeline:
    """Two transformers: one for the first steps, one for the others."""
    second = wan_transformer()
    with torch.no_grad():
        for weight in second.parameters():
            weight.mul_(0.9)
    pipe = wan(WanPipeline, transformer_2=second, boundary_ratio=0.8)
    pipe.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    return pipe


def wan_arguments(request: Request, frames: int = 5) -> dict[str, Any]:
    words = request.words(prompt_embeds=(1, 3, 8), negative_prompt_embeds=(1, 3, 8))
    return {**words, "guidance_scale": 2.0, "height": 32, "width": 32 * request.width, "num_frames": frames}


def wan_from_image(request: Request) -> dict[str, Any]:
    arguments = wan_arguments(request)
    return {**arguments, "image": image(arguments["height"], arguments["width"])}


def wan_from_video(request: Request) -> dict[str, Any]:
    arguments = wan_arguments(request)
    frames, height, width = arguments.pop("num_frames"), arguments["height"], arguments["width"]
    return {**arguments, "video": image(height, width, 3 * frames).view(1, frames, 3, height, width)}


def lucy_arguments(request: Request) -> dict[str, Any]:
    return {**wan_from_video(request), "num_frames": 5}


def cogvideox(pipeline: Any) -> Any:
    transformer = seeded(
        CogVideoXTransformer3DModel,
        num_attention_heads=4,
        attention_head_dim=8,
        in_channels=4,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=8,
        num_layers=2,
        sample_width=2,
        sample_height=2,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=6,
    )
    return pipeline(None, None, None, transformer, CogVideoXDDIMScheduler(prediction_type="v_prediction"))


def cogvideox_arguments(request: Request) -> dict[str, Any]:
    words = request.words(prompt_embeds=(1, 6, 8), negative_prompt_embeds=(1, 6, 8))
    return {**words, "guidance_scale": 3.0, "height": 16, "width": 16 * request.width, "num_frames": 9}


def cogvideox_from_video(request: Request) -> dict[str, Any]:
    """The video comes as latents, so there is no autoencoder."""
    arguments = cogvideox_arguments(request)
    del arguments["num_frames"]
    noise = torch.Generator().manual_seed(request.noise)
    return {**arguments, "latents": torch.randn(1, 3, 4, 2, 2 * request.width, generator=noise)}


def ltx() -> LTXPipeline:
    transformer = seeded(
        LTXVideoTransformer3DModel,
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=16,
        cross_attention_dim=32,
        num_layers=2,
        caption_channels=12,
    )
    return LTXPipeline(FlowMatchEulerDiscreteScheduler(), None, None, None, transformer)


def masked(request: Request, *shape: int) -> dict[str, Any]:
    words = request.words(prompt_embeds=shape, negative_prompt_embeds=shape)
    mask = torch.ones(shape[:2], dtype=torch.int64)
    return {**words, "prompt_attention_mask": mask, "negative_prompt_attention_mask": mask.clone()}


def ltx_arguments(request: Request) -> dict[str, Any]:
    size = {"height": 64, "width": 64 * request.width, "num_frames": 9}
    return {**masked(request, 1, 5, 12), **size, "guidance_scale": 3.0}


def hunyuan() -> HunyuanVideoPipeline:
    transformer = seeded(
        HunyuanVideoTransformer3DModel,
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        text_embed_dim=12,
        pooled_projection_dim=8,
        rope_axes_dim=(4, 4, 8),
        guidance_embeds=True,
    )
    return HunyuanVideoPipeline(None, None, transformer, None, FlowMatchEulerDiscreteScheduler(), None, None)


def hunyuan_arguments(request: Request) -> dict[str, Any]:
    pooled = request.words(pooled_prompt_embeds=(1, 8), negative_pooled_prompt_embeds=(1, 8))
    size = {"height": 32, "width": 32 * request.width, "num_frames": 5}
    return {**masked(request, 1, 5, 12), **pooled, **size, "true_cfg_scale": 2.0}


def cosmos() -> CosmosTextToWorldPipeline:
    """It asks its scheduler twice a step, and puts it back in between. Nobody looks at what it makes."""
    transformer = seeded(
        CosmosTransformer3DModel,
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        mlp_ratio=2,
        text_embed_dim=8,
        adaln_lora_dim=4,
        max_size=(4, 32, 32),
        patch_size=(1, 2, 2),
        rope_scale=(2.0, 1.0, 1.0),
        concat_padding_mask=False,
        extra_pos_embed_type="learnable",
    )
    scheduler = EDMEulerScheduler(sigma_min=0.002, sigma_max=80, sigma_data=0.5, final_sigmas_type="sigma_min")
    return CosmosTextToWorldPipeline(None, None, transformer, None, scheduler, safety_checker=Watcher())


def cosmos_arguments(request: Request) -> dict[str, Any]:
    words = request.words(prompt_embeds=(1, 5, 8), negative_prompt_embeds=(1, 5, 8))
    return {**words, "guidance_scale": 2.0, "height": 32, "width": 32 * request.width, "num_frames": 9}


class Watcher:
    """In place of the package that refuses prompts."""

    def to(self, *_: Any) -> Watcher:
        return self


FLOWS = {"euler": EULER, "heun": HEUN, "dpm": DPM}
NOISES = {"heun": NOISE_HEUN, "dpm": NOISE_DPM, "unipc": NOISE_UNIPC}
SIGMAS = {"unipc": UNIPC, "shifted": SHIFTED}

NARROWER = partial(EDMEulerScheduler.from_config, sigma_max=40)

ENTRIES = [
    Entry("wan", "text to video", lambda: wan(WanPipeline), wan_arguments, 1.4, FLOWS),
    Entry(
        "wan22",
        "text to video",
        wan22,
        wan_arguments,
        1.7,
        {"heun": HEUN, "unipc": UNIPC},
        transformers=("transformer", "transformer_2"),
    ),
    Entry(
        "wan-image2video",
        "image to video",
        lambda: wan(WanImageToVideoPipeline, 12, wan_autoencoder()),
        wan_from_image,
        1.4,
        FLOWS,
    ),
    Entry(
        "wan-video2video",
        "video to video",
        lambda: wan(WanVideoToVideoPipeline, vae=wan_autoencoder()),
        wan_from_video,
        1.2,
        FLOWS,
        strength=True,
    ),
    Entry("lucy-edit", "edit", lambda: wan(LucyEditPipeline, 8, wan_autoencoder()), lucy_arguments, 1.4, FLOWS),
    Entry("cogvideox", "text to video", lambda: cogvideox(CogVideoXPipeline), cogvideox_arguments, 0.16, NOISES),
    Entry(
        "cogvideox-video2video",
        "video to video",
        lambda: cogvideox(CogVideoXVideoToVideoPipeline),
        cogvideox_from_video,
        0.6,
        NOISES,
        strength=True,
    ),
    Entry("cosmos", "text to video", cosmos, cosmos_arguments, 0.14, {"narrower": NARROWER}),
    Entry("ltx", "text to video", ltx, ltx_arguments, 0.16, SIGMAS),
    Entry("hunyuan-video", "text to video", hunyuan, hunyuan_arguments, 0.16, SIGMAS),
]
