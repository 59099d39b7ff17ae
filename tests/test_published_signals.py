"""The signal of each published model, by its published formula, against the one that the compiled extractor gives.

A formula is written out by hand, from the script that its docstring names, on what enters the model or its first block.
What enters the block is seen in a call of the model itself, without any extractor.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from torch.utils._pytree import tree_map

from teaspec.compiler import compile_spec, load_spec
from teaspec.compiler.passes.resolve import import_model
from teaspec.proof.inputs import Example
from teaspec.proof.run import surroundings
from teaspec.proof.subject import Subject

SPECS = Path(__file__).parents[1] / "specs"


@dataclass(frozen=True)
class Seen:
    """One call of the model itself.

    Attributes:
        module: The model.
        call: The arguments of its forward.
        block: Its first block.
        inputs: What that one was called with, by the names of its parameters.
    """

    module: Any
    call: dict[str, Any]
    block: Any
    inputs: dict[str, Any]


Formula = Callable[[Seen], torch.Tensor]
FORMULAS: dict[tuple[str, str | None], Formula] = {}


def published(spec: str, variant: str | None = None) -> Callable[[Formula], Formula]:
    def register(formula: Formula) -> Formula:
        FORMULAS[spec, variant] = formula
        return formula

    return register


@published("flux")
def flux(seen: Seen) -> torch.Tensor:
    """ali-vilab/TeaCache TeaCache4FLUX/teacache_flux.py: transformer_blocks[0].norm1(hidden_states, emb=temb)[0]."""
    module, call = seen.module, seen.call
    hidden_states = module.x_embedder(call["hidden_states"])
    timestep = call["timestep"].to(hidden_states.dtype) * 1000
    times = (timestep,)
    if call.get("guidance") is not None:
        times = (timestep, call["guidance"].to(hidden_states.dtype) * 1000)
    temb = module.time_text_embed(*times, call["pooled_projections"])
    return module.transformer_blocks[0].norm1(hidden_states, emb=temb)[0]


@published("chroma")
def chroma(seen: Seen) -> torch.Tensor:
    """vladmandic/sdnext modules/teacache/teacache_chroma.py: transformer_blocks[0].norm1(h, emb=input_vec)[0].

    That script is unfinished: its `input_vec` is the output of time_text_embed, which this norm cannot take, for it
    wants the six modulations of the block. The signal deliberately is what the block computes from the first six of its
    own.
    """
    return seen.block.norm1(seen.module.x_embedder(seen.call["hidden_states"]), emb=seen.inputs["temb"][:, :6])[0]


@published("hunyuan_video")
def hunyuan_video(seen: Seen) -> torch.Tensor:
    """TeaCache4HunyuanVideo/teacache_sample_video.py: modulate(img_norm1(img), shift, scale), shift and scale of vec.

    Published for text to video. For image to video a model may modulate the tokens of the first frame with an embedding
    of their own; there the signal deliberately is what the block computes, not what was published.
    """
    inputs = seen.inputs
    if inputs.get("token_replace_emb") is not None:
        tokens = inputs["token_replace_emb"], inputs["num_tokens"]
        return seen.block.norm1(inputs["hidden_states"], inputs["temb"], *tokens)[0]
    shift, scale, *_ = seen.block.norm1.linear(nn.functional.silu(inputs["temb"])).chunk(6, dim=-1)
    return seen.block.norm1.norm(inputs["hidden_states"]) * (1 + scale[:, None]) + shift[:, None]


@published("cogvideox")
def cogvideox(seen: Seen) -> torch.Tensor:
    """TeaCache4CogVideoX1.5/teacache_sample_video.py: emb, with the embedding of `ofs` where there is one."""
    module, call = seen.module, seen.call
    dtype = call["hidden_states"].dtype
    emb = module.time_embedding(module.time_proj(call["timestep"]).to(dtype))
    if module.ofs_embedding is not None:
        emb = emb + module.ofs_embedding(module.ofs_proj(call["ofs"]).to(dtype))
    return emb


@published("mochi")
def mochi(seen: Seen) -> torch.Tensor:
    """TeaCache4Mochi/teacache_mochi.py: transformer_blocks[0].norm1(hidden_states, temb)[0]."""
    return seen.block.norm1(seen.inputs["hidden_states"], seen.inputs["temb"])[0]


@published("ltx")
def ltx(seen: Seen) -> torch.Tensor:
    """TeaCache4LTX-Video/teacache_ltx.py: norm1(h) * (1 + scale_msa) + shift_msa, from the table and the embedding."""
    module, call = seen.module, seen.call
    hidden_states = module.proj_in(call["hidden_states"])
    batch = hidden_states.size(0)
    temb = module.time_embed(call["timestep"].flatten(), batch_size=batch, hidden_dtype=hidden_states.dtype)[0]
    temb = temb.view(batch, -1, temb.size(-1))
    block = module.transformer_blocks[0]
    table = block.scale_shift_table
    values = table[None, None] + temb.reshape(batch, temb.size(1), table.shape[0], -1)
    shift_msa, scale_msa, *_ = values.unbind(dim=2)
    return block.norm1(hidden_states) * (1 + scale_msa) + shift_msa


@published("lumina_next")
def lumina_next(seen: Seen) -> torch.Tensor:
    """TeaCache4Lumina-T2X/teacache_lumina_next.py: layers[0].norm1(hidden_states, temb)[0]."""
    return seen.block.norm1(seen.inputs["hidden_states"], seen.inputs["temb"])[0]


@published("lumina2")
def lumina2(seen: Seen) -> torch.Tensor:
    """TeaCache4Lumina2/teacache_lumina2.py: layers[0].norm1(input_to_main_loop, temb)[0], behind both refiners."""
    assert seen.block is seen.module.layers[0]
    return seen.block.norm1(seen.inputs["hidden_states"], seen.inputs["temb"])[0]


@published("lumina2", "comfyui")
def lumina2_comfyui(seen: Seen) -> torch.Tensor:
    """welltop-cn/ComfyUI-TeaCache nodes.py: t_embedder(t)."""
    embed = seen.module.time_caption_embed
    return embed.timestep_embedder(embed.time_proj(seen.call["timestep"]).to(seen.call["hidden_states"].dtype))


def wan_embedding(seen: Seen) -> torch.Tensor:
    """e = time_embedding(sinusoidal(t)).

    The script computes it in float32; so does the embedder of diffusers, which then gives it in the dtype of the text.
    """
    embedder, timestep = seen.module.condition_embedder, seen.call["timestep"]
    sinusoidal = embedder.timesteps_proj(timestep.flatten())
    if timestep.ndim == 2:  # a timestep for each token
        sinusoidal = sinusoidal.unflatten(0, tuple(timestep.shape))
    e = embedder.time_embedder(sinusoidal.to(embedder.time_embedder.linear_1.weight.dtype))
    return e.to(seen.call["encoder_hidden_states"].dtype)


@published("wan")
def wan(seen: Seen) -> torch.Tensor:
    """TeaCache4Wan2.1/teacache_generate.py without `use_ret_steps`: e."""
    return wan_embedding(seen)


@published("wan", "t2v-14b-ret")
def wan_retained(seen: Seen) -> torch.Tensor:
    """TeaCache4Wan2.1/teacache_generate.py with `use_ret_steps`: e0 = time_projection(e).unflatten(1, (6, dim))."""
    e0 = seen.module.condition_embedder.time_proj(nn.functional.silu(wan_embedding(seen)))
    return e0.unflatten(-1, (6, -1))


@published("latte")
def latte(seen: Seen) -> torch.Tensor:
    """eval/teacache/experiments/latte.py: norm1(h) * (1 + scale_msa) + shift_msa, of the first spatial block."""
    hidden_states, timestep = seen.inputs["hidden_states"], seen.inputs["timestep"]
    table = seen.block.scale_shift_table[None] + timestep.reshape(hidden_states.shape[0], 6, -1)
    shift_msa, scale_msa, *_ = table.chunk(6, dim=1)
    return seen.block.norm1(hidden_states) * (1 + scale_msa) + shift_msa


@published("qwen_image")
def qwen_image(seen: Seen) -> torch.Tensor:
    """vllm-project/vllm-omni extractors.py: _modulate(img_norm1(h), img_mod1)[0], here with the block's index, too."""
    img_mod1, _ = seen.block.img_mod(seen.inputs["temb"]).chunk(2, dim=-1)
    normed = seen.block.img_norm1(seen.inputs["hidden_states"])
    return seen.block._modulate(normed, img_mod1, seen.inputs.get("modulate_index"))[0]


@published("qwen_image", "comfyui")
def qwen_image_comfyui(seen: Seen) -> torch.Tensor:
    """chenpipi0807/ComfyUI-TeaCache nodes.py: img_in(hidden_states)."""
    return seen.module.img_in(seen.call["hidden_states"])


@published("sd3")
def sd3(seen: Seen) -> torch.Tensor:
    """The SD3 example of ppdiffusers: transformer_blocks[0].norm1(hidden_states, emb=temb)[0]."""
    module, call = seen.module, seen.call
    temb = module.time_text_embed(call["timestep"], call["pooled_projections"])
    return module.transformer_blocks[0].norm1(module.pos_embed(call["hidden_states"]), emb=temb)[0]


@published("longcat_image")
def longcat_image(seen: Seen) -> torch.Tensor:
    """vllm-project/vllm-omni extractors.py: transformer_blocks[0].norm1(hidden_states, emb=temb)[0]."""
    module, call = seen.module, seen.call
    hidden_states = module.x_embedder(call["hidden_states"])
    temb = module.time_embed(call["timestep"].to(hidden_states.dtype) * 1000, hidden_states.dtype)
    return module.transformer_blocks[0].norm1(hidden_states, emb=temb)[0]


@published("stable_audio")
def stable_audio(seen: Seen) -> torch.Tensor:
    """vllm-project/vllm-omni extractors.py: transformer_blocks[0].norm1([global + time token | x])."""
    module, call = seen.module, seen.call
    time = module.timestep_proj(module.time_proj(call["timestep"].to(module.dtype)))
    first = module.global_proj(call["global_hidden_states"]) + time.unsqueeze(1)
    audio = (module.preprocess_conv(call["hidden_states"]) + call["hidden_states"]).transpose(1, 2)
    return module.transformer_blocks[0].norm1(torch.cat([first, module.proj_in(audio)], dim=-2))


@published("minimax_h3")
def minimax_h3(seen: Seen) -> torch.Tensor:
    """vllm-project/vllm-omni extractors.py: norm1 of the first block, scaled and shifted by the rows of each token."""
    inputs, rows = seen.inputs, seen.inputs["adaln_indices"]
    shift_msa, scale_msa, *_ = seen.block.adaln_proj(inputs["temb"])
    return seen.block.norm1(inputs["hidden_states"]) * (1.0 + scale_msa[rows]) + shift_msa[rows]


@cache
def subject_of(name: str, variant: str | None) -> Subject:
    spec = load_spec(SPECS / f"{name}.yaml")
    return Subject(spec if variant is None else spec.for_variant(variant), import_model(spec), compile_spec)


def first_block(subject: Subject, module: nn.Module) -> nn.Module:
    steps = subject.spec.norm.split(".")
    index = next(place for place, step in enumerate(steps) if step.isdigit())
    return module.get_submodule(".".join(steps[: index + 1]))


def see(subject: Subject, example: Example) -> Seen:
    """Calls the model itself."""
    module, call = subject.module(example), subject.arguments(example).kwargs
    block = first_block(subject, module)
    inputs: dict[str, Any] = {}

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        bound = inspect.signature(type(block).forward).bind(block, *args, **kwargs)
        inputs.update(tree_map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, bound.arguments))

    handle = block.register_forward_pre_hook(keep, with_kwargs=True)
    subject.call(example, subject.arguments(example))
    handle.remove()
    assert inputs, "the first block did not run"
    return Seen(module, call, block, inputs)


def test_every_published_signal_has_its_formula() -> None:
    """A set without coefficients is no claim about a signal."""
    missing = []
    for name, sets in yaml.safe_load((Path(__file__).parent / "published.yaml").read_text(encoding="utf-8")).items():
        spec = load_spec(SPECS / f"{name}.yaml")
        tested = {spec.signal if key is None else spec.for_variant(key).signal for one, key in FORMULAS if one == name}
        claimed = {one["signal"] for one in sets.values() if one["status"] != "none"}
        missing += [(name, signal) for signal in claimed - tested]
    assert missing == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(("name", "variant"), FORMULAS, ids=lambda value: value or "base")
def test_the_signal_is_the_published_one(name: str, variant: str | None, dtype: torch.dtype) -> None:
    subject = subject_of(name, variant)
    with surroundings(), torch.no_grad():
        for case, probe in enumerate(subject.alternatives):
            dims = {dim: high for dim, (_, high) in probe.dims.items()}
            optional = frozenset(key for key, given in probe.inputs.items() if given.optional)
            for present in (frozenset(), optional):
                example = Example(case, dtype, dims, present, None, 0, seed=case)
                seen = see(subject, example)
                context = subject.extractor(example)(seen.module, **subject.arguments(example).kwargs)
                expected = FORMULAS[name, variant](seen)
                assert context.modulated_input.dtype == expected.dtype
                assert torch.equal(context.modulated_input, expected), f"case {case}"
