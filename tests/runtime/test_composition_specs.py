"""Each shipped spec whose decision runs a part of the first block, with that block's weights kept elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accelerate
import pytest
import torch
from diffusers.hooks import apply_group_offloading
from torch import nn

from teaspec import TeaCacheConfig, apply_teacache_hook, compile_spec, load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.compare import ViolationError, require_close, require_equal
from teaspec.proof.hooked import Unidentified
from teaspec.proof.inputs import Example
from teaspec.proof.run import surroundings
from teaspec.proof.subject import Subject
from teaspec.runtime.host.library import CacheContext
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.denoising import SPECS

CPU = torch.device("cpu")

# One with parameters of the block itself, one with several streams, one with modulations from outside of the block.
USUAL = ("ltx", "qwen_image", "flux2")
SHIPPED = sorted(path.stem for path in SPECS.glob("*.yaml"))


def first_block(model: nn.Module, norm: str) -> str:
    path = norm.split(".")
    return type(model.get_submodule(".".join(path[: 1 + path[1].isdigit()]))).__name__


def leaves(model: nn.Module, norm: str, folder: Path) -> None:
    accelerate.cpu_offload(model, CPU)


def blocks(model: nn.Module, norm: str, folder: Path) -> None:
    accelerate.cpu_offload(model, CPU, preload_module_classes=[first_block(model, norm)])


def group_of_blocks(model: nn.Module, norm: str, folder: Path) -> None:
    apply_group_offloading(model, CPU, CPU, "block_level", num_blocks_per_group=1, offload_to_disk_path=str(folder))


def group_of_leaves(model: nn.Module, norm: str, folder: Path) -> None:
    apply_group_offloading(model, CPU, CPU, "leaf_level", offload_to_disk_path=str(folder))


UNFIT = {
    "dit": (blocks, group_of_blocks),  # the forward itself reads a weight of the first block
    "flux3": (blocks,),
    "hunyuan_dit": (leaves, blocks, group_of_leaves),  # weights are read without calling their module
    "ltx2": (leaves, blocks),  # accelerate cannot rebuild its output
    "wan_animate2": (leaves, blocks),  # a parameter is copied while it is on meta
}
"""Keepers under which the model itself fails, or computes something else, without TeaCache."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in USUAL else pytest.mark.thorough) for name in SHIPPED]
)
@pytest.mark.parametrize("keep", [leaves, blocks, group_of_blocks, group_of_leaves])
def test_the_part_that_decides_finds_its_weights(name: str, keep: Callable[..., None], tmp_path: Path) -> None:
    spec = load_spec(SPECS / f"{name}.yaml")
    subject = Subject(spec, import_model(spec), compile_spec)
    dims = {dim: largest for dim, (_, largest) in subject.alternatives[0].dims.items()}
    example = Example(0, torch.float32, dims, frozenset(), None, 0, 0)

    def call(model: Any) -> Any:
        given = subject.arguments(example)
        with torch.no_grad():
            return model(*given.args, **given.kwargs)

    with surroundings():
        base, extractor = subject.module(example), subject.extractor(example)
        if "@with_weights" not in extractor.source:
            assert name not in USUAL
            return  # decides by what is there before the blocks
        plain = copy.deepcopy(base)
        keep(plain, spec.norm, tmp_path / "plain")
        if keep in UNFIT.get(name, ()):
            with pytest.raises((RuntimeError, TypeError, NotImplementedError, ViolationError)):
                require_close(call(base), call(plain), "output", 1e-4)
            return
        expected = call(plain)
        require_close(call(base), expected, "output", 1e-4)
        hooked = copy.deepcopy(base)
        keep(hooked, spec.norm, tmp_path / "hooked")
        apply_teacache_hook(
            hooked, TeaCacheConfig(0.5, [0, 0, 0, 1, 0], warmup_steps=0), extractor=Unidentified(extractor, (), hooked)
        )
        hook = find_teacache_hook(hooked)
        for step in range(2):
            hook.state_manager.set_context(CacheContext("cond", step_index=step))
            output = call(hooked)
            if step == 0:
                require_equal(expected, output, "output")
        # The second call has the same inputs, and with the weights where they belong the same signal.
        assert [(one.decision, one.distance) for one in hook.decisions] == [("compute", None), ("reuse", 0.0)]
