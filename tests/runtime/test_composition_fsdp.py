"""TeaCache on a transformer that FSDP2 shards over several processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from tests.runtime.denoising import COMPUTE_ALL, MODELS, Denoiser, equal
from tests.runtime.processes import run_ranks

BLOCKS = {"flux": ("transformer_blocks", "single_transformer_blocks"), "wan": ("blocks",)}


def shard(kind: str, model: Any, size: int) -> Any:
    mesh = init_device_mesh("cpu", (size,))
    for name in BLOCKS[kind]:
        for block in getattr(model, name):
            fully_shard(block, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def sharded(rank: int, size: int) -> list[dict[str, Any]]:
    """What each rank sees, hooked before and after; without TeaCache, with all computed and with some reused."""
    seen = []
    for kind, first in (("flux", True), ("flux", False), ("wan", False)):
        plain = Denoiser.of(kind, shard(kind, MODELS[kind](), size)).generate(1)
        runs = {}
        for name, settings in (("computed", {"rel_l1_thresh": COMPUTE_ALL}), ("reused", {})):
            if first:
                denoiser = Denoiser.make(kind, **settings)
                shard(kind, denoiser.model, size)
            else:
                denoiser = Denoiser.on(kind, shard(kind, MODELS[kind](), size), **settings)
            assert isinstance(denoiser.model, FSDPModule)
            outputs = denoiser.generate(1)
            runs[name] = (outputs, [(one.decision, one.distance) for one in denoiser.hook.decisions])
            blocks = getattr(denoiser.model, BLOCKS[kind][0])
            assert all(isinstance(one, DTensor) for one in blocks.parameters())  # put away again
        seen.append({"kind": kind, "plain": plain, **runs})
    return seen


@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.thorough), 2])
def test_a_sharded_transformer(size: int, tmp_path: Path) -> None:
    alone = {kind: Denoiser.make(kind) for kind in ("flux", "wan")}
    expected = {kind: denoiser.generate(1) for kind, denoiser in alone.items()}
    for results in run_ranks(sharded, size, tmp_path, size):
        for one in results:
            outputs, decisions = one["computed"]
            assert equal(outputs, one["plain"])
            assert {decision for decision, _ in decisions} == {"compute"}
            outputs, decisions = one["reused"]
            assert equal(outputs, expected[one["kind"]])
            assert decisions == [(each.decision, each.distance) for each in alone[one["kind"]].hook.decisions]
            assert "reuse" in [decision for decision, _ in decisions]
