"""Images and sound."""

from __future__ import annotations

import torch

from tests.published_signals.seen import Seen, published


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


@published("flux2")
def flux2(seen: Seen) -> torch.Tensor:
    """vllm-project/vllm-omni extractors.py: (1 + scale_msa) * norm1(h) + shift_msa, by double_stream_modulation_img.

    Published for calls without a cache of keys and values. A call that fills one, which bypasses TeaCache, has a
    modulation of its own for the reference tokens, and the signal is what the block computes.
    """
    module, call = seen.module, seen.call
    timestep, guidance = (call.get(name) for name in ("timestep", "guidance"))
    dtype = call["hidden_states"].dtype
    temb = module.time_guidance_embed(
        timestep.to(dtype) * 1000, None if guidance is None else guidance.to(dtype) * 1000
    )
    modulation = module.double_stream_modulation_img(temb).unsqueeze(1)
    if call.get("kv_cache_mode") == "extract":
        modulation = seen.inputs["temb_mod_img"]
    shift_msa, scale_msa, *_ = modulation.chunk(6, dim=-1)
    return (1 + scale_msa) * seen.block.norm1(module.x_embedder(call["hidden_states"])) + shift_msa


@published("z_image")
def z_image(seen: Seen) -> torch.Tensor:
    """vllm-project/vllm-omni extractors.py: attention_norm1(unified) * (1 + scale_msa), scale_msa of adaln_input.

    Published for images out of noise alone. Where some are given without noise (Omni), each token has the scale of its
    kind; there the signal deliberately is what the block computes.
    """
    inputs, modulation = seen.inputs, seen.block.adaLN_modulation
    if inputs.get("noise_mask") is not None:
        noisy, clean = (modulation(inputs[name]).chunk(4, dim=1)[0] for name in ("adaln_noisy", "adaln_clean"))
        scale_msa = torch.where(inputs["noise_mask"].unsqueeze(-1) == 1, noisy.unsqueeze(1), clean.unsqueeze(1))
    else:
        scale_msa = modulation(inputs["adaln_input"]).unsqueeze(1).chunk(4, dim=2)[0]
    return seen.block.attention_norm1(inputs["x"]) * (1.0 + scale_msa)


@published("hidream_image")
def hidream_image(seen: Seen) -> torch.Tensor:
    """TeaCache4HiDream-I1/teacache_hidream_i1.py: t_embedder(timesteps, dtype), without the pooled text."""
    return seen.module.t_embedder(seen.call["timesteps"], seen.call["hidden_states"].dtype)


@published("hidream_image", "dev")
def hidream_image_dev(seen: Seen) -> torch.Tensor:
    """welltop-cn/ComfyUI-TeaCache nodes.py: x_embedder(hidden_states), for the models Dev and Fast."""
    module, hidden_states = seen.module, seen.call["hidden_states"]
    is_packed = seen.call.get("hidden_states_masks") is not None
    return module.x_embedder(hidden_states if is_packed else module.patchify(hidden_states)[0])
