"""Videos."""

from __future__ import annotations

import torch
from torch import nn

from tests.published_signals.seen import Seen, published


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


@published("minimax_h3")
def minimax_h3(seen: Seen) -> torch.Tensor:
    """vllm-project/vllm-omni extractors.py: norm1 of the first block, scaled and shifted by the rows of each token."""
    inputs, rows = seen.inputs, seen.inputs["adaln_indices"]
    shift_msa, scale_msa, *_ = seen.block.adaln_proj(inputs["temb"])
    return seen.block.norm1(inputs["hidden_states"]) * (1.0 + scale_msa[rows]) + shift_msa[rows]


@published("hunyuan_video_framepack")
def hunyuan_video_framepack(seen: Seen) -> torch.Tensor:
    """lllyasviel/FramePack diffusers_helper/models/hunyuan_video_packed.py: norm1(hidden_states, emb=temb)[0]."""
    return seen.block.norm1(seen.inputs["hidden_states"], emb=seen.inputs["temb"])[0]


@published("consisid")
def consisid(seen: Seen) -> torch.Tensor:
    """TeaCache4ConsisID/teacache_sample_video.py: emb."""
    module, call = seen.module, seen.call
    return module.time_embedding(module.time_proj(call["timestep"]).to(call["hidden_states"].dtype))


@published("cosmos")
def cosmos(seen: Seen) -> torch.Tensor:
    """TeaCache4Cosmos/teacache_sample_video_t2v.py: norm_state(x) * (1 + scale) + shift, by adaLN_modulation and LoRA.

    Where a model has learned positions, its blocks add them to x first.
    """
    inputs, norm = seen.inputs, seen.block.norm1
    hidden_states = inputs["hidden_states"]
    if inputs.get("extra_pos_emb") is not None:
        hidden_states = hidden_states + inputs["extra_pos_emb"]
    modulation = norm.linear_2(norm.linear_1(nn.functional.silu(inputs["embedded_timestep"])))
    if inputs.get("temb") is not None:
        modulation = modulation + inputs["temb"]
    shift, scale, _ = (modulation[:, None] if modulation.ndim == 2 else modulation).chunk(3, dim=-1)
    return norm.norm(hidden_states) * (1 + scale) + shift


def tokens_of_a_frame(seen: Seen) -> int:
    _, height, width = seen.module.config.patch_size
    *_, rows, columns = seen.call["hidden_states"].shape
    return (rows // height) * (columns // width)


@published("skyreels_v2")
def skyreels_v2(seen: Seen) -> torch.Tensor:
    """SkyworkAI/SkyReels-V2 skyreels_v2_infer/modules/transformer.py: e, for each token where frames differ in time."""
    e = wan_embedding(seen)
    return e.repeat_interleave(tokens_of_a_frame(seen), dim=1) if seen.call.get("enable_diffusion_forcing") else e


@published("skyreels_v2", "14b-ret")
def skyreels_v2_retained(seen: Seen) -> torch.Tensor:
    """The same with `use_ret_steps`: e0, with the frame rate where the model takes one."""
    module, call = seen.module, seen.call
    e0 = module.condition_embedder.time_proj(nn.functional.silu(wan_embedding(seen))).unflatten(-1, (6, -1))
    if module.config.inject_sample_info:
        e0 = e0 + module.fps_projection(module.fps_embedding(torch.tensor(call["fps"]))).unflatten(1, (6, -1))
    if call.get("enable_diffusion_forcing"):
        e0 = e0.repeat_interleave(tokens_of_a_frame(seen), dim=1).transpose(1, 2)
    return e0


@published("wan_vace")
def wan_vace(seen: Seen) -> torch.Tensor:
    """aigc-apps/VideoX-Fun with the sets of `use_ret_steps`: e0 = time_projection(e).unflatten(1, (6, dim))."""
    e0 = seen.module.condition_embedder.time_proj(nn.functional.silu(wan_embedding(seen)))
    return e0.unflatten(1, (6, -1))
