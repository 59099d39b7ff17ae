"""Images of other models, and sound."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    AutoencoderOobleck,
    DPMSolverMultistepScheduler,
    EDMDPMSolverMultistepScheduler,
    EDMEulerScheduler,
    FlowMatchEulerDiscreteScheduler,
    Lumina2Pipeline,
    Lumina2Transformer2DModel,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    QwenImageImg2ImgPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
    StableAudioDiTModel,
    StableAudioPipeline,
    StableAudioProjectionModel,
    ZImageImg2ImgPipeline,
    ZImagePipeline,
    ZImageTransformer2DModel,
)

from tests.pipelines.entry import Entry, Request
from tests.pipelines.flux import with_image
from tests.pipelines.parts import (
    DPM,
    EULER,
    HEUN,
    NOISE_HEUN,
    NOISE_UNIPC,
    SHIFTED,
    UNIPC,
    autoencoder,
    qwen_autoencoder,
    seeded,
)
from tests.pipelines.videos import masked


def lumina() -> Lumina2Pipeline:
    transformer = seeded(
        Lumina2Transformer2DModel,
        sample_size=8,
        in_channels=4,
        hidden_size=24,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=3,
        num_kv_heads=1,
        multiple_of=2,
        axes_dim_rope=[4, 2, 2],
        axes_lens=[32, 32, 32],
        cap_feat_dim=8,
    )
    return Lumina2Pipeline(transformer, FlowMatchEulerDiscreteScheduler(), None, None, None)


def sana() -> SanaPipeline:
    transformer = seeded(
        SanaTransformer2DModel,
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=8,
        sample_size=8,
    )
    scheduler = DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    return SanaPipeline(None, None, None, transformer, scheduler)


def pixart() -> PixArtSigmaPipeline:
    transformer = seeded(
        PixArtTransformer2DModel,
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        cross_attention_dim=24,
        sample_size=8,
        caption_channels=8,
    )
    return PixArtSigmaPipeline(None, None, None, transformer, DPMSolverMultistepScheduler())


def aura_flow() -> AuraFlowPipeline:
    transformer = seeded(
        AuraFlowTransformer2DModel,
        sample_size=8,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=8,
        caption_projection_dim=16,
        out_channels=4,
        pos_embed_max_size=64,
    )
    return AuraFlowPipeline(None, None, None, transformer, FlowMatchEulerDiscreteScheduler())


def masked_arguments(request: Request) -> dict[str, Any]:
    size = {"height": 64, "width": 64 * request.width}
    return {**masked(request, 1, 5, 8), **size, "guidance_scale": 3.0}


def unbinned_arguments(request: Request) -> dict[str, Any]:
    """In the size that was asked for, and no other."""
    return {**masked_arguments(request), "use_resolution_binning": False, "negative_prompt": None}


def qwen(pipeline: Any, vae: Any = None) -> Any:
    transformer = seeded(
        QwenImageTransformer2DModel,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=8,
        axes_dims_rope=(4, 6, 6),
    )
    return pipeline(FlowMatchEulerDiscreteScheduler(), vae, None, None, transformer)


def qwen_arguments(request: Request) -> dict[str, Any]:
    words = request.words(prompt_embeds=(1, 5, 8), negative_prompt_embeds=(1, 5, 8))
    mask = torch.ones(1, 5, dtype=torch.int64)
    masks = {"prompt_embeds_mask": mask, "negative_prompt_embeds_mask": mask.clone()}
    return {**words, **masks, "true_cfg_scale": 2.0, "height": 64, "width": 64 * request.width}


def z_image(pipeline: Any, vae: Any = None) -> Any:
    transformer = seeded(
        ZImageTransformer2DModel,
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=8,
        axes_dims=[4, 6, 6],
        axes_lens=[256, 32, 32],
    )
    return pipeline(FlowMatchEulerDiscreteScheduler(), vae, None, None, transformer)


def z_image_arguments(request: Request, height: int = 64) -> dict[str, Any]:
    words = request.words(prompt_embeds=(5, 8), negative_prompt_embeds=(4, 8))
    lists = {name: [embeds] for name, embeds in words.items()}
    return {**lists, "guidance_scale": 2.0, "height": height, "width": height * request.width}


def stable_audio() -> StableAudioPipeline:
    transformer = seeded(
        StableAudioDiTModel,
        sample_size=12,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        num_key_value_attention_heads=1,
        cross_attention_dim=16,
        time_proj_dim=8,
        global_states_input_dim=16,
        cross_attention_input_dim=8,
    )
    vae = seeded(
        AutoencoderOobleck,
        encoder_hidden_size=6,
        downsampling_ratios=[1, 2],
        decoder_channels=3,
        decoder_input_channels=4,
        audio_channels=2,
        channel_multiples=[2, 4],
        sampling_rate=4,
    )
    projection = seeded(StableAudioProjectionModel, text_encoder_dim=8, conditioning_dim=8, min_value=0, max_value=32)
    scheduler = EDMDPMSolverMultistepScheduler(solver_order=2, prediction_type="v_prediction", sigma_data=1.0)
    return StableAudioPipeline(vae, None, projection, None, transformer, scheduler)


def stable_audio_arguments(request: Request) -> dict[str, Any]:
    """Sound to listen to: with latents the pipeline returns before its end."""
    words = request.words(prompt_embeds=(1, 5, 8), negative_prompt_embeds=(1, 5, 8))
    return {
        **words,
        "guidance_scale": 2.0,
        "audio_end_in_s": 4.0,
        "output_type": "pt",
        "num_waveforms_per_prompt": request.width,
    }


SIGMAS = {"unipc": UNIPC, "shifted": SHIFTED}
ALL = {"heun": HEUN, "unipc": UNIPC, "dpm": DPM, "shifted": SHIFTED}

ENTRIES = [
    Entry("lumina2", "text to image", lumina, masked_arguments, 0.1, SIGMAS, interrupts=False, tail="norm_out"),
    Entry(
        "sana",
        "text to image",
        sana,
        unbinned_arguments,
        0.12,
        {"euler": EULER, "heun": HEUN},
    ),
    Entry(
        "pixart-sigma",
        "text to image",
        pixart,
        unbinned_arguments,
        0.16,
        {"heun": NOISE_HEUN, "unipc": NOISE_UNIPC},
        callback=False,
        interrupts=False,
    ),
    Entry("aura-flow", "text to image", aura_flow, masked_arguments, 0.12, ALL, interrupts=False),
    Entry("qwen-image", "text to image", lambda: qwen(QwenImagePipeline), qwen_arguments, 0.16, SIGMAS),
    Entry(
        "qwen-image-img2img",
        "image to image",
        lambda: qwen(QwenImageImg2ImgPipeline, qwen_autoencoder()),
        lambda request: with_image(qwen_arguments(request)),
        0.2,
        {"shifted": SHIFTED},
        strength=True,
    ),
    Entry(
        "z-image",
        "text to image",
        lambda: z_image(ZImagePipeline),
        z_image_arguments,
        0.32,
        {"shifted": SHIFTED},
        tail="all_final_layer.2-1",
    ),
    Entry(
        "z-image-img2img",
        "image to image",
        lambda: z_image(ZImageImg2ImgPipeline, autoencoder()),
        lambda request: with_image(z_image_arguments(request, 16)),
        0.4,
        {"shifted": SHIFTED},
        strength=True,
        tail="all_final_layer.2-1",
    ),
    Entry(
        "stable-audio",
        "sound",
        stable_audio,
        stable_audio_arguments,
        0.24,
        {"euler": EDMEulerScheduler.from_config},
        callback=False,
        interrupts=False,
    ),
]
