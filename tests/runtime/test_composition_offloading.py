"""TeaCache where somebody else keeps the weights: offloaded, cast, or taken away between calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import accelerate
import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from diffusers import FluxPipeline
from diffusers.hooks import apply_group_offloading
from diffusers.hooks.layerwise_casting import apply_layerwise_casting_hook
from torch import nn

from teaspec import TeaCacheConfig, apply_teacache_hook, compile_spec, load_spec, remove_teacache_hook
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.denoising import COMPUTE_ALL, MODELS, SPECS, Denoiser, equal, flux
from tests.runtime.models import flux_pipeline, generate, tiny_flux

CPU = torch.device("cpu")
BLOCKS = ["FluxTransformerBlock", "WanTransformerBlock"]

Keeper = Callable[[Any, Path], Any]


def group(level: str, to_disk: bool = False, **settings: Any) -> Keeper:
    """On the CPU nothing moves, but what waits on the disk is not in memory."""

    def apply(model: Any, folder: Path) -> None:
        path = str(folder) if to_disk else None
        apply_group_offloading(model, CPU, CPU, level, offload_to_disk_path=path, **settings)

    return apply


def enable_group(model: Any, folder: Path) -> None:
    model.enable_group_offload(CPU, CPU, "block_level", num_blocks_per_group=2)


def layerwise(model: Any, folder: Path) -> None:
    model.enable_layerwise_casting(torch.bfloat16, torch.float32)


def layerwise_blocks(model: Any, folder: Path) -> None:
    """Whole blocks are cast, with their norms: only their own forward has the weights in float32."""
    for block in next(child for child in model.children() if isinstance(child, nn.ModuleList)):
        apply_layerwise_casting_hook(block, torch.bfloat16, torch.float32, non_blocking=False)


def sequential(model: Any, folder: Path) -> None:
    """What `enable_sequential_cpu_offload` does: each leaf's weights are on `meta` between its calls."""
    accelerate.cpu_offload(model, execution_device=CPU)


def whole_blocks(model: Any, folder: Path) -> None:
    """A block's weights are fetched, all of them, when the block is called."""
    accelerate.cpu_offload(model, execution_device=CPU, preload_module_classes=BLOCKS)


def from_disk(model: Any, folder: Path) -> None:
    accelerate.disk_offload(model, folder, execution_device=CPU)


def dispatched(model: Any, folder: Path) -> None:
    """Some parts stay, the others' weights wait on the disk."""
    kept = {"transformer_blocks", "blocks", "patch_embedding", "x_embedder", "pos_embed", "rope"}
    device_map = {name: "cpu" if name in kept else "disk" for name, _ in model.named_children()}
    device_map |= {name: "cpu" for name, _ in model.named_parameters(recurse=False)}
    accelerate.dispatch_model(model, device_map, main_device="cpu", offload_dir=folder, force_hooks=True)


def aligned(model: Any, folder: Path) -> None:
    add_hook_to_module(model, AlignDevicesHook(CPU, io_same_device=True))


def whole_model(model: Any, folder: Path) -> None:
    accelerate.cpu_offload_with_hook(model, CPU)


KEEPERS: dict[str, Keeper] = {
    "group, blocks": group("block_level", num_blocks_per_group=1),
    "group, blocks, enabled": enable_group,
    "group, leaves": group("leaf_level"),
    "group, blocks, disk": group("block_level", to_disk=True, num_blocks_per_group=1),
    "group, pairs of blocks, disk": group("block_level", to_disk=True, num_blocks_per_group=2),
    "group, leaves, disk": group("leaf_level", to_disk=True),
    "layerwise": layerwise,
    "layerwise, blocks": layerwise_blocks,
    "sequential": sequential,
    "whole blocks": whole_blocks,
    "disk": from_disk,
    "dispatched": dispatched,
    "aligned": aligned,
    "whole model": whole_model,
}


CASES = [("flux", name, order) for name in KEEPERS for order in ("hooked first", "hooked last")]
# Wan decides by its timestep embedding, so that nothing of a block runs by itself.
CASES += [("wan", name, "hooked last") for name in ("group, blocks, disk", "layerwise", "sequential")]


def kept(kind: str, keeper: Keeper, folder: Path) -> Any:
    """A transformer without TeaCache, its weights kept elsewhere."""
    model = MODELS[kind]()
    keeper(model, folder)
    return model


def choices(denoiser: Denoiser) -> list[str]:
    return [one.decision for one in denoiser.hook.decisions]


@cache
def without_a_keeper(kind: str) -> list[Any]:
    """What is decided where the weights stay."""
    denoiser = Denoiser.make(kind)
    denoiser.generate(1)
    return list(denoiser.hook.decisions)


@pytest.mark.parametrize(("kind", "name", "order"), CASES)
def test_weights_that_are_kept_elsewhere(kind: str, name: str, order: str, tmp_path: Path) -> None:
    def hooked(folder: str, **settings: Any) -> Denoiser:
        if order == "hooked last":
            return Denoiser.on(kind, kept(kind, KEEPERS[name], tmp_path / folder), **settings)
        denoiser = Denoiser.make(kind, **settings)
        KEEPERS[name](denoiser.model, tmp_path / folder)
        return denoiser

    expected = Denoiser.of(kind, kept(kind, KEEPERS[name], tmp_path / "plain")).generate(1)
    computing = hooked("computing", rel_l1_thresh=COMPUTE_ALL)
    assert equal(computing.generate(1), expected)
    assert choices(computing) == ["compute"] * len(expected)

    reusing = hooked("reusing")
    found = reusing.generate(1)
    alone = without_a_keeper(kind)
    assert choices(reusing) == [one.decision for one in alone]
    assert choices(reusing).count("reuse") == 4
    assert equal(found[:2], expected[:2])
    for one, other in zip(reusing.hook.decisions, alone, strict=True):
        assert (one.distance is None) == (other.distance is None)
        # A keeper that casts weights changes what they are; by less than any weight that was not fetched.
        assert one.distance is None or one.distance == pytest.approx(other.distance, rel=0.02)
    remove_teacache_hook(reusing.model)
    assert equal(reusing.generate(1), expected)


def test_weights_that_wait_on_meta_are_fetched_for_the_norm_and_put_away_again(tmp_path: Path) -> None:
    denoiser = Denoiser.on("flux", kept("flux", whole_blocks, tmp_path))
    denoiser.generate(1)
    seen = set()
    for _ in denoiser.calls(1):
        seen.add(denoiser.hook.decisions[-1].decision)
        assert {str(one.device) for one in denoiser.model.transformer_blocks.parameters()} == {"meta"}
    assert seen == {"compute", "reuse"}


def flux_of(pipeline: FluxPipeline, thresh: float) -> Any:
    extractor = compile_spec(load_spec(SPECS / "flux.yaml"), pipeline.transformer)
    config = TeaCacheConfig(thresh, [0, 0, 0, 1, 0], warmup_steps=0)
    apply_teacache_hook(pipeline.transformer, config, extractor=extractor)
    return find_teacache_hook(pipeline.transformer)


def offload_whole(pipeline: FluxPipeline) -> None:
    pipeline.enable_model_cpu_offload(device="cpu")


def offload_leaves(pipeline: FluxPipeline) -> None:
    """As `enable_sequential_cpu_offload` does, which names the device `cpu:0`: with that, accelerate fails on a CPU."""
    accelerate.cpu_offload(pipeline.transformer, CPU, offload_buffers=True)


@pytest.mark.parametrize("order", ["hooked first", "hooked last"])
@pytest.mark.parametrize("offload", [offload_whole, offload_leaves])
def test_a_pipeline_that_offloads(offload: Callable[[FluxPipeline], None], order: str) -> None:
    """The device that it offloads from is the CPU, too; between calls a sequential one leaves nothing but `meta`."""
    expected = generate(flux_pipeline(tiny_flux()), cfg=True)
    for thresh in (COMPUTE_ALL, 0.5):
        pipeline = flux_pipeline(tiny_flux())
        if order == "hooked first":
            flux_of(pipeline, thresh)
        offload(pipeline)
        if order == "hooked last":
            flux_of(pipeline, thresh)
        on_meta = {one.device.type for one in pipeline.transformer.parameters()} == {"meta"}
        assert on_meta == (offload is offload_leaves)
        hook = find_teacache_hook(pipeline.transformer)
        for _ in range(2):
            found = generate(pipeline, cfg=True)
            reused = sum(one.reused for one in hook.last_generation.counts.values())
            assert torch.equal(found, expected) == (reused == 0) == (thresh == COMPUTE_ALL)
        pipeline.remove_all_hooks()
        assert torch.equal(generate(pipeline, cfg=True), found)


def test_what_watches_a_blocks_forward_is_not_shown_a_part_of_it() -> None:
    model = flux()
    seen: list[Any] = []
    model.transformer_blocks[0].register_forward_hook(lambda module, args, output: seen.append(output))
    denoiser = Denoiser.on("flux", model)
    denoiser.generate(1)
    assert len(seen) == sum(one.decision == "compute" for one in denoiser.hook.decisions)
    assert all(isinstance(output, tuple) for output in seen)
