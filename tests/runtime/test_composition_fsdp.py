"""TeaCache on a transformer that FSDP2 shards over several processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from tests.runtime.denoising import COMPUTE_ALL, MODELS, Denoiser, equal
from tests.runtime.processes import run_ranks

BLOCKS = {"flux": ("transformer_blocks", "single_transformer_blocks"), "wan": ("blocks",)}

THRESHOLDS = (0.05, 0.09)
"""At each of these the generations 0 and 1 decide otherwise alone."""


def shard(kind: str, model: Any) -> Any:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for name in BLOCKS[kind]:
        for block in getattr(model, name):
            fully_shard(block, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def sharded() -> list[dict[str, Any]]:
    """Hooked before and after: without TeaCache, with all steps computed, and with some reused."""
    seen = []
    for kind, first in (("flux", True), ("flux", False), ("wan", False)):
        plain = Denoiser.of(kind, shard(kind, MODELS[kind]())).generate(1)
        runs = {}
        for name, settings in (("computed", {"rel_l1_thresh": COMPUTE_ALL}), ("reused", {})):
            if first:
                denoiser = Denoiser.make(kind, **settings)
                shard(kind, denoiser.model)
            else:
                denoiser = Denoiser.on(kind, shard(kind, MODELS[kind]()), **settings)
            assert isinstance(denoiser.model, FSDPModule)
            outputs = denoiser.generate(1)
            runs[name] = (outputs, [(one.decision, one.distance) for one in denoiser.hook.decisions])
            blocks = getattr(denoiser.model, BLOCKS[kind][0])
            assert all(isinstance(one, DTensor) for one in blocks.parameters())  # put away again
        seen.append({"kind": kind, "plain": plain, **runs})
    return seen


def decided(generation: int, thresh: float, group: Any = None) -> list[str]:
    denoiser = Denoiser.make("flux", rel_l1_thresh=thresh, process_group=group)
    if group is not None:
        shard("flux", denoiser.model)
    denoiser.generate(generation)
    return [one.decision for one in denoiser.hook.decisions]


def on_rank(rank: int) -> tuple[list[dict[str, Any]], list[list[str]]]:
    return sharded(), [decided(rank, thresh, dist.group.WORLD) for thresh in THRESHOLDS]


@pytest.fixture(scope="module", params=[pytest.param(1, marks=pytest.mark.thorough), 2])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    return run_ranks(on_rank, request.param, folder)


def test_a_sharded_transformer(ranks: list[Any]) -> None:
    alone = {kind: Denoiser.make(kind) for kind in ("flux", "wan")}
    expected = {kind: denoiser.generate(1) for kind, denoiser in alone.items()}
    for results, _ in ranks:
        assert len(results) == 3
        for one in results:
            outputs, decisions = one["computed"]
            assert equal(outputs, one["plain"])
            assert {decision for decision, _ in decisions} == {"compute"}
            outputs, decisions = one["reused"]
            assert equal(outputs, expected[one["kind"]])
            assert decisions == [(each.decision, each.distance) for each in alone[one["kind"]].hook.decisions]
            assert "reuse" in [decision for decision, _ in decisions]


def test_ranks_that_generate_something_else_each_decide_alike_in_a_group(ranks: list[Any]) -> None:
    """One that reused alone would leave the other waiting for its shards."""
    for thresh in THRESHOLDS:
        assert decided(0, thresh) != decided(1, thresh)
    (_, first), *others = ranks
    assert all(decisions == first for _, decisions in others)
    assert all(set(decisions) == {"compute", "reuse"} for decisions in first)
