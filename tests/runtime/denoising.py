"""Generations on tiny transformers of diffusers, call by call, as pipelines make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, WanTransformer3DModel
from diffusers.utils.torch_utils import unwrap_module

import teaspec
from teaspec import TeaCacheConfig, TeaCacheHook, apply_teacache_hook, compile_spec, load_spec
from teaspec.runtime.host.chain import replaced_forward
from teaspec.runtime.host.library import cache_context
from teaspec.runtime.pipeline.apply import find_teacache_hook

SPECS = Path(__file__).parents[2] / "specs"
TIMESTEPS = (1.0, 0.95, 0.9, 0.4)
BRANCHES = ("cond", "uncond")


def flux(guidance_embeds: bool = False, heads: int = 2) -> FluxTransformer2DModel:
    torch.manual_seed(0)
    return FluxTransformer2DModel(
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=heads,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=guidance_embeds,
    ).eval()


def flux_inputs(latents: torch.Tensor, prompt: torch.Tensor, timestep: float) -> dict[str, Any]:
    return {
        "hidden_states": latents,
        "encoder_hidden_states": prompt,
        "pooled_projections": prompt.mean(dim=1),
        "timestep": torch.tensor([timestep]),
        "img_ids": torch.zeros(latents.shape[1], 3),
        "txt_ids": torch.zeros(prompt.shape[1], 3),
    }


def wan(heads: int = 2) -> WanTransformer3DModel:
    torch.manual_seed(0)
    return WanTransformer3DModel(
        num_attention_heads=heads,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=8,
        freq_dim=32,
        ffn_dim=32,
        rope_max_seq_len=32,
        num_layers=2,
    ).eval()


def wan_inputs(latents: torch.Tensor, prompt: torch.Tensor, timestep: float) -> dict[str, Any]:
    return {
        "hidden_states": latents,
        "encoder_hidden_states": prompt,
        "timestep": torch.tensor([round(timestep * 1000)]),
    }


MODELS: dict[str, Callable[..., Any]] = {"flux": flux, "wan": wan}
INPUTS = {"flux": (flux_inputs, (1, 6, 4)), "wan": (wan_inputs, (1, 4, 1, 4, 4))}
THRESHOLDS = {"flux": 0.08, "wan": 1.2}
"""About every other step is reused."""

COMPUTE_ALL = 1e-9
"""A threshold below which nothing stays."""


@dataclass(frozen=True)
class Denoiser:
    """A transformer and how it is called. The hook is None where it has none."""

    model: Any
    hook: TeaCacheHook
    inputs: Callable[..., dict[str, Any]]
    shape: tuple[int, ...]

    @classmethod
    def make(cls, kind: str, **settings: Any) -> Denoiser:
        return cls.on(kind, MODELS[kind](), **settings)

    @classmethod
    def on(cls, kind: str, model: Any, **settings: Any) -> Denoiser:
        """Hooks a transformer, with an extractor that is compiled for it."""
        if not settings.keys() & {"rule", "budget", "tolerance"}:
            settings = {"rel_l1_thresh": THRESHOLDS[kind], "coefficients": [0, 0, 0, 1, 0], **settings}
        settings = {"warmup_steps": 0, **settings}
        spec = load_spec(SPECS / f"{kind}.yaml")
        # as the registry's extractors do: up to diffusers 0.39 a hook does not say what it wraps
        extractor = compile_spec(spec, unwrap_module(model), replaced=replaced_forward)
        apply_teacache_hook(model, TeaCacheConfig(**settings), extractor=extractor)
        return cls.of(kind, model)

    @classmethod
    def of(cls, kind: str, model: Any) -> Denoiser:
        """Takes a transformer as it is."""
        return cls(model, find_teacache_hook(model), *INPUTS[kind])

    def calls(self, seed: int, naming: str = "context") -> Iterator[torch.Tensor]:
        """Makes the calls of one generation; yields what each of them returns."""
        generator = torch.Generator().manual_seed(seed)
        latents = torch.randn(self.shape, generator=generator)
        prompts = [torch.randn(1, 3, 8, generator=generator) for _ in BRANCHES]
        for index, timestep in enumerate(TIMESTEPS):
            outputs = []
            for branch, prompt in zip(BRANCHES, prompts, strict=True):
                self.model.do_true_cfg = naming == "paired"
                with torch.no_grad(), self._named(naming, branch, index):
                    outputs.append(self.model(**self.inputs(latents, prompt, timestep), return_dict=False)[0])
                yield outputs[-1]
            cond, uncond = outputs
            latents = latents + 0.05 * (uncond + 2 * (cond - uncond))
        # What a pipeline's end would do is left out: the next generation has to be noticed.

    def _named(self, naming: str, branch: str, index: int) -> Any:
        if naming == "context":
            return self.model.cache_context(branch)
        if naming == "step":
            return cache_context(self.model, branch, step_index=index, num_inference_steps=len(TIMESTEPS))
        return teaspec.branch(branch) if naming == "branch" else nullcontext()

    def generate(self, seed: int, naming: str = "context") -> list[torch.Tensor]:
        """Runs one generation; returns what its calls returned."""
        return list(self.calls(seed, naming))


def equal(found: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    return len(found) == len(expected) and all(map(torch.equal, found, expected))
