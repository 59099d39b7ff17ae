"""Small transformers with hand-written extractors, as a user of `register_extractor` would write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers import FluxTransformer2DModel
from diffusers.models.cache_utils import CacheMixin
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import nn

from teaspec import CacheContext, Finished

if TYPE_CHECKING:
    from diffusers import FluxPipeline

WIDTH = 4


class Block(nn.Module):
    """Adds something that depends on the input and on the timestep, in place where asked to."""

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.in_place = in_place
        self.calls = 0

    def forward(self, hidden_states: torch.Tensor, temb: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        change = torch.tanh(self.mix(hidden_states)) * (1 + temb)
        return hidden_states.add_(change) if self.in_place else hidden_states + change


class SingleStream(nn.Module, CacheMixin):
    """One stream. The caller passes the signal that decides, so that a test can realise any distance."""

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()
        self.embed = nn.Linear(WIDTH, WIDTH)
        self.blocks = nn.ModuleList([Block(in_place), Block(in_place)])
        self.head = nn.Linear(WIDTH, WIDTH)
        self.eval()  # as pipelines have their transformers

    @property
    def steps_computed(self) -> int:
        return self.blocks[0].calls

    def forward(
        self,
        hidden_states: torch.Tensor,
        signal: torch.Tensor,
        timestep: Any = None,
        finish: bool = False,
        record: list[str] | None = None,
        prompt: Any = None,
    ) -> torch.Tensor:
        if finish:
            return hidden_states
        hidden_states = self.embed(hidden_states)
        temb = signal.mean()
        for block in self.blocks:
            hidden_states = block(hidden_states, temb)
        return self.head(hidden_states)


class UntimedStream(SingleStream):
    """Its forward takes no timestep."""

    def forward(self, hidden_states: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
        return super().forward(hidden_states, signal)


def extract_single(
    module: SingleStream,
    hidden_states: torch.Tensor,
    signal: torch.Tensor,
    timestep: Any = None,
    finish: bool = False,
    record: list[str] | None = None,
    prompt: Any = None,
) -> CacheContext | Finished:
    if finish:
        return Finished(hidden_states)
    entry = module.embed(hidden_states)
    temb = signal.mean()

    def run_transformer_blocks() -> tuple[torch.Tensor, ...]:
        hidden = entry
        for block in module.blocks:
            hidden = block(hidden, temb)
        return (hidden,)

    return CacheContext(signal, entry, None, temb.reshape(1), run_transformer_blocks, module.head)


@dataclass
class SingleStreamExtractor:
    """An extractor object with the optional attributes that compiled ones have."""

    bypass: tuple[str, ...] = ()
    entered: int = 0
    left: int = 0
    compiled: int = 0

    def compiled_for(self, module: nn.Module) -> SingleStreamExtractor:
        self.compiled += 1
        return self

    def __call__(self, module: nn.Module, *args: Any, **kwargs: Any) -> CacheContext | Finished:
        return extract_single(module, *args, **kwargs)

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], drive: Any) -> Any:
        self.entered += 1
        try:
            return drive(self(module, *args, **kwargs))
        finally:
            self.left += 1


class DualStream(nn.Module):
    """Two streams and a value made on the way; the head reads all of them."""

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(in_place)])
        self.text_blocks = nn.ModuleList([Block(in_place)])
        self.eval()

    def forward(
        self, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, signal: torch.Tensor
    ) -> torch.Tensor:
        hidden_states, encoder_hidden_states = hidden_states * 2, encoder_hidden_states * 3
        for block, text_block in zip(self.blocks, self.text_blocks, strict=True):
            encoder_hidden_states = text_block(encoder_hidden_states, signal.mean())
            hidden_states = block(hidden_states, encoder_hidden_states.mean())
        scale = signal.mean() + hidden_states.std()
        return torch.cat([encoder_hidden_states, hidden_states], dim=1) * scale


def extract_dual(
    module: DualStream, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, signal: torch.Tensor
) -> CacheContext:
    """With live values: the text stream, and `scale`, which is carried over."""
    hidden_entry, text_entry = hidden_states * 2, encoder_hidden_states * 3

    def run_transformer_blocks() -> tuple[torch.Tensor, ...]:
        hidden, text = hidden_entry, text_entry
        for block, text_block in zip(module.blocks, module.text_blocks, strict=True):
            text = text_block(text, signal.mean())
            hidden = block(hidden, text.mean())
        return hidden, text, signal.mean() + hidden.std()

    def postprocess(hidden: torch.Tensor, text: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        # In place on purpose: what is carried over must survive that.
        return torch.cat([text, hidden], dim=1) * scale.mul_(1)

    live = {"txt": text_entry, "scale": None}
    temb = signal.mean().reshape(1)
    return CacheContext(
        signal, hidden_entry, text_entry, temb, run_transformer_blocks, postprocess, extra_states={"live": live}
    )


extract_dual.varying = ("hidden_states", "encoder_hidden_states", "signal")  # type: ignore[attr-defined]


def tiny_flux() -> FluxTransformer2DModel:
    torch.manual_seed(0)
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        axes_dims_rope=(2, 2, 4),
    ).eval()


def extract_flux(
    module: FluxTransformer2DModel,
    hidden_states: torch.Tensor,
    encoder_hidden_states: torch.Tensor,
    pooled_projections: torch.Tensor,
    timestep: torch.Tensor,
    img_ids: torch.Tensor,
    txt_ids: torch.Tensor,
    guidance: torch.Tensor | None = None,
    joint_attention_kwargs: dict[str, Any] | None = None,
    return_dict: bool = True,
) -> CacheContext:
    hidden_entry = module.x_embedder(hidden_states)
    temb = module.time_text_embed(timestep.to(hidden_entry.dtype) * 1000, pooled_projections)
    modulated = module.transformer_blocks[0].norm1(hidden_entry, emb=temb)[0]

    def run_transformer_blocks() -> tuple[torch.Tensor, ...]:
        hidden, text = hidden_entry, module.context_embedder(encoder_hidden_states)
        rotary = module.pos_embed(torch.cat((txt_ids, img_ids), dim=0))
        for block in (*module.transformer_blocks, *module.single_transformer_blocks):
            text, hidden = block(hidden_states=hidden, encoder_hidden_states=text, temb=temb, image_rotary_emb=rotary)
        return (hidden,)

    def postprocess(hidden: torch.Tensor) -> Any:
        output = module.proj_out(module.norm_out(hidden, temb))
        return Transformer2DModelOutput(sample=output) if return_dict else (output,)

    return CacheContext(modulated, hidden_entry, None, temb, run_transformer_blocks, postprocess)


extract_flux.varying = (  # type: ignore[attr-defined]
    "hidden_states",
    "controlnet_block_samples",
    "controlnet_single_block_samples",
)


def flux_pipeline(transformer: FluxTransformer2DModel) -> FluxPipeline:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline  # slow to import: transformers comes with it

    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=None,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(pipeline: FluxPipeline, steps: int = 6, cfg: bool = False, **arguments: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    prompts = {"prompt_embeds": draw(1, 3, 8), "pooled_prompt_embeds": draw(1, 8)}
    if cfg:
        prompts |= {"negative_prompt_embeds": draw(1, 3, 8), "negative_pooled_prompt_embeds": draw(1, 8)}
        prompts |= {"true_cfg_scale": 2.0}
    arguments = {"height": 64, "width": 64, "generator": generator, "output_type": "latent", **prompts, **arguments}
    return pipeline(num_inference_steps=steps, **arguments).images
