"""The diffusers backend of vLLM-Omni, which refuses a cache of its own, with `teaspec.enable` on its pipeline."""

from __future__ import annotations

import tempfile
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import FluxTransformer2DModel

import teaspec
from teaspec.demo.digits.pipeline import pipeline_of

_STEPS = 8
_MODEL = {"in_channels": 4, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16, "num_attention_heads": 2}
_WIDTHS = {"joint_attention_dim": 8, "pooled_projection_dim": 8, "axes_dims_rope": (4, 6, 6), "guidance_embeds": True}
_NOT_LOADED = ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")


def require_cached() -> str:
    """Serves a tiny FLUX with the real adapter, which loads it from a folder, uncached and cached.

    Returns:
        What was seen.

    Raises:
        AssertionError: Computed steps differ from the uncached ones, nothing is reused, or a second request is not as
            the first one.
    """
    adapter = _adapter()
    uncached = _serve(adapter)
    teaspec.enable(adapter._pipeline, rel_l1_thresh=1e-9, coefficients=[0.0, 0.0, 0.0, 1.0, 0.0])
    if not torch.equal(_serve(adapter), uncached):
        raise AssertionError("computed steps are not the uncached ones")
    teaspec.disable(adapter._pipeline)
    teaspec.enable(adapter._pipeline, rel_l1_thresh=0.4, coefficients=[0.0, 0.0, 0.0, 1.0, 0.0])
    first = _serve(adapter)
    stats = teaspec.stats(adapter._pipeline.transformer)
    if not stats.reused:
        raise AssertionError("nothing is reused")
    if not torch.equal(_serve(adapter), first):
        raise AssertionError("a second request is not as the first one")
    return f"{stats.computed} of {_STEPS} steps computed"


def _adapter() -> Any:
    from vllm_omni.diffusion.data import OmniDiffusionConfig
    from vllm_omni.diffusion.models.diffusers_adapter.pipeline_diffusers_adapter import DiffusersAdapterPipeline

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(prefix="teaspec-adapter-") as folder:
        pipeline_of(FluxTransformer2DModel(**_MODEL, **_WIDTHS)).save_pretrained(folder)
        config = OmniDiffusionConfig(model=folder, dtype=torch.float32, cache_backend="none")
        config.diffusers_load_kwargs = dict.fromkeys(_NOT_LOADED)
        config.diffusers_call_kwargs = {
            "prompt_embeds": torch.randn(1, 3, 8),
            "pooled_prompt_embeds": torch.randn(1, 8),
            "height": 64,
            "width": 64,
        }
        adapter = DiffusersAdapterPipeline(od_config=config, device=torch.device("cpu"))
        adapter.load_weights()
    # The prompt is given as embeddings, since no text encoder is loaded.
    adapter._extract_input = lambda prompts: {}
    return adapter


def _serve(adapter: Any) -> torch.Tensor:
    from vllm_omni.inputs.data import OmniDiffusionSamplingParams

    sampling = OmniDiffusionSamplingParams(
        num_inference_steps=_STEPS, seed=3, generator_device="cpu", output_type="latent"
    )
    output: torch.Tensor = adapter.forward(SimpleNamespace(sampling_params=sampling, prompts=[""])).output
    return output
