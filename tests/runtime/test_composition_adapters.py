"""TeaCache with LoRA, ControlNet and IP-Adapter, in real pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FluxControlNetModel, FluxControlNetPipeline, FluxPipeline
from diffusers.models.transformers.transformer_flux import FluxIPAdapterAttnProcessor
from peft import LoraConfig, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from torch import nn

import teaspec
from teaspec import register_extractor
from teaspec.catalog import SpecExtractor
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.denoising import COMPUTE_ALL, SPECS
from tests.runtime.models import flux_pipeline, generate, tiny_flux

REUSE = 0.5
LORA = LoraConfig(
    r=2,
    lora_alpha=4,
    target_modules=["to_q", "to_v", "norm1.linear", "proj_mlp", "x_embedder"],
    init_lora_weights=False,  # an adapter that changes something
)

Generate = Callable[[FluxPipeline], torch.Tensor]


@pytest.fixture(autouse=True)
def flux_spec() -> Iterator[None]:
    register_extractor("FluxTransformer2DModel", SpecExtractor(SPECS / "flux.yaml"))
    yield


def enable(pipeline: Any, thresh: float) -> None:
    teaspec.enable(pipeline, rel_l1_thresh=thresh, coefficients=[0, 0, 0, 1, 0])


def check(
    make: Callable[[], FluxPipeline], run: Generate, adapt: Callable[[Any], None] = lambda pipeline: None
) -> None:
    """All steps computed equal the pipeline without TeaCache, and with reused steps a generation equals its repetition.

    `adapt` is done to the pipeline without TeaCache, and to the other one before and after TeaCache comes.
    """
    plain = make()
    adapt(plain)
    expected = run(plain)
    for hooked_first in (True, False):
        for thresh in (COMPUTE_ALL, REUSE):
            pipeline = make()
            if hooked_first:
                enable(pipeline, thresh)
            adapt(pipeline)
            if not hooked_first:
                enable(pipeline, thresh)
            found = run(pipeline)
            counts = find_teacache_hook(pipeline.transformer).last_generation.counts.values()
            assert all(one.computed >= 2 for one in counts)
            assert torch.equal(found, expected) == (thresh == COMPUTE_ALL) == all(one.reused == 0 for one in counts)
            assert torch.equal(run(pipeline), found)
            teaspec.disable(pipeline)
            assert torch.equal(run(pipeline), expected)


def add_lora(pipeline: Any) -> None:
    torch.manual_seed(1)
    pipeline.transformer.add_adapter(LORA, adapter_name="style")


def load_lora(pipeline: Any) -> None:
    twin = flux_pipeline(tiny_flux())
    add_lora(twin)
    weights = get_peft_model_state_dict(twin.transformer, adapter_name="style")
    pipeline.load_lora_weights(
        {f"transformer.{name}": weight for name, weight in weights.items()}, adapter_name="style"
    )


def load_lora_over_offloading(pipeline: Any) -> None:
    """diffusers takes its offloading off, and puts it back when the adapter is in."""
    pipeline.transformer.enable_group_offload(torch.device("cpu"), offload_type="block_level", num_blocks_per_group=1)
    load_lora(pipeline)


@pytest.mark.parametrize("adapt", [add_lora, load_lora, load_lora_over_offloading])
def test_lora_with_a_scale(adapt: Callable[[Any], None]) -> None:
    run = partial(generate, cfg=True, joint_attention_kwargs={"scale": 0.5})
    check(lambda: flux_pipeline(tiny_flux()), run, adapt)
    pipeline = flux_pipeline(tiny_flux())
    without = run(pipeline)
    adapt(pipeline)
    assert not torch.equal(run(pipeline), without)


def scaled(scale: float) -> Generate:
    return partial(generate, joint_attention_kwargs={"scale": scale})


def test_a_scale_that_changes_between_generations() -> None:
    pipeline = flux_pipeline(tiny_flux())
    enable(pipeline, REUSE)
    add_lora(pipeline)
    expected = {scale: scaled(scale)(pipeline) for scale in (0.0, 0.5, 1.0)}
    for scale in (1.0, 0.0, 0.5, 0.5, 1.0):
        fresh = flux_pipeline(tiny_flux())
        add_lora(fresh)
        enable(fresh, REUSE)
        assert torch.equal(scaled(scale)(fresh), expected[scale])
        assert torch.equal(scaled(scale)(pipeline), expected[scale])
    assert len({float(image.sum()) for image in expected.values()}) == 3


def scalings(module: nn.Module) -> list[dict[str, float]]:
    return [dict(layer.scaling) for layer in module.modules() if isinstance(layer, LoraLayer)]


def test_a_scale_that_changes_from_call_to_call_and_is_put_back_after_each() -> None:
    plain, pipeline = flux_pipeline(tiny_flux()), flux_pipeline(tiny_flux())
    add_lora(plain)
    add_lora(pipeline)
    before = scalings(pipeline.transformer)
    assert before
    enable(pipeline, COMPUTE_ALL)
    generator = torch.Generator().manual_seed(0)
    for step, scale in enumerate((1.0, 0.25, 0.0, 2.0)):
        inputs = {
            "hidden_states": torch.randn(1, 6, 16, generator=generator),
            "encoder_hidden_states": torch.randn(1, 3, 8, generator=generator),
            "pooled_projections": torch.randn(1, 8, generator=generator),
            "timestep": torch.tensor([1 - step / 4]),
            "img_ids": torch.zeros(6, 3),
            "txt_ids": torch.zeros(3, 3),
            "return_dict": False,
        }
        with torch.no_grad():
            expected = plain.transformer(**inputs, joint_attention_kwargs={"scale": scale})[0]
            found = pipeline.transformer(**inputs, joint_attention_kwargs={"scale": scale})[0]
        assert torch.equal(found, expected)
        assert scalings(pipeline.transformer) == before


def test_a_reused_step_puts_the_scale_back_too() -> None:
    pipeline = flux_pipeline(tiny_flux())
    add_lora(pipeline)
    before = scalings(pipeline.transformer)
    enable(pipeline, REUSE)
    seen = []

    def look(pipe: Any, step: int, timestep: torch.Tensor, tensors: dict[str, Any]) -> dict[str, Any]:
        seen.append(find_teacache_hook(pipe.transformer).decisions[-1].decision)
        assert scalings(pipe.transformer) == before
        return tensors

    generate(pipeline, joint_attention_kwargs={"scale": 0.5}, callback_on_step_end=look)
    assert set(seen) == {"compute", "reuse"}


def controlled() -> FluxControlNetPipeline:
    transformer = tiny_flux()
    torch.manual_seed(0)
    controlnet = FluxControlNetModel(
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
    for layer in (*controlnet.controlnet_blocks, *controlnet.controlnet_single_blocks):
        nn.init.normal_(layer.weight)  # they begin at zero, and change nothing
    vae = AutoencoderKL(
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=2,
        shift_factor=0.0,
    ).eval()
    plain = flux_pipeline(transformer)
    pipeline = FluxControlNetPipeline(**{**plain.components, "vae": vae, "controlnet": controlnet})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_controlnet() -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    run = partial(generate, control_image=image, controlnet_conditioning_scale=0.7)
    check(controlled, run)
    assert not torch.equal(run(controlled()), generate(flux_pipeline(tiny_flux())))


def test_controlnet_with_guidance_that_ends_and_cfg() -> None:
    """Its residuals are scaled to nothing in the last steps, and there are two calls a step without a name."""
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    check(controlled, partial(generate, cfg=True, control_image=image, control_guidance_end=0.5))


def load_ip_adapter(pipeline: Any) -> None:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    attention = {f"0.{name}.{kind}": draw(16, 8) if kind == "weight" else draw(16)
                 for name in ("to_k_ip", "to_v_ip") for kind in ("weight", "bias")}  # fmt: skip
    projection = {"proj.weight": draw(32, 6), "proj.bias": draw(32), "norm.weight": draw(8), "norm.bias": draw(8)}
    weights = {"image_proj": projection, "ip_adapter": attention}
    pipeline.transformer._load_ip_adapter_weights(weights, low_cpu_mem_usage=False)
    processors = pipeline.transformer.attn_processors.values()
    assert sum(isinstance(one, FluxIPAdapterAttnProcessor) for one in processors) == 1


def test_ip_adapter() -> None:
    def embeds(seed: int) -> list[torch.Tensor]:
        return [torch.randn(1, 1, 6, generator=torch.Generator().manual_seed(seed))]

    run = partial(generate, cfg=True, ip_adapter_image_embeds=embeds(4), negative_ip_adapter_image_embeds=embeds(5))
    check(lambda: flux_pipeline(tiny_flux()), run, load_ip_adapter)
    pipeline = flux_pipeline(tiny_flux())
    load_ip_adapter(pipeline)
    other = partial(generate, cfg=True, ip_adapter_image_embeds=embeds(6), negative_ip_adapter_image_embeds=embeds(5))
    assert not torch.equal(run(pipeline), other(pipeline))
