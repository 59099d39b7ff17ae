"""Processes that share a transformer: real ones, of a gloo group."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch

from teaspec import TeaCacheConfig
from tests.runtime import sharing, ulysses
from tests.runtime.processes import run_ranks
from tests.runtime.sharing import STEPS, THRESHOLD, TRAJECTORIES

pytestmark = pytest.mark.xdist_group("ranks")

HAS_ULYSSES = hasattr(diffusers, "ContextParallelConfig")

Decided = list[tuple[str, str, float | None]]


def everything(rank: int, size: int) -> dict[str, Any]:
    """All that a group of this size is asked, in one go: processes take seconds to start."""
    return {
        "sequences": sharing.sequences(rank, size),
        "branches": sharing.branches(rank, size),
        "other_rules": sharing.other_rules(rank, size),
        "repeated": sharing.repeated(rank),
        "past": sharing.past_the_cache(rank),
        "waits": sharing.waits(rank),
        "copied": sharing.copied(),
        "found": sharing.found_elsewhere(),
        "ulysses": ulysses.ulysses(size) if HAS_ULYSSES else None,
        "alone": sharing.without_a_group(rank),
    }


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.thorough)])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each rank found."""
    return run_ranks(everything, request.param, tmp_path_factory.mktemp("ranks"), request.param)


def test_shares_of_a_sequence_decide_as_the_whole_of_it(ranks: list[dict[str, Any]]) -> None:
    for runs in zip(*(rank["sequences"] for rank in ranks), strict=True):
        for one in runs:
            assert one["shared"]["choices"] == one["whole"]["choices"]
            assert one["shared"]["steps"] == one["whole"]["steps"]
            assert repr(one["shared"]["distances"]) == repr(runs[0]["shared"]["distances"])
            for found, expected in zip(one["shared"]["distances"], one["whole"]["distances"], strict=True):
                assert (found is None) == (expected is None)
                assert found is None or found == pytest.approx(expected, rel=1e-4, nan_ok=True)
            assert one["close"]
    assert len(ranks[0]["sequences"]) == TRAJECTORIES


def test_other_rules_decide_as_one_process_would(ranks: list[dict[str, Any]]) -> None:
    """Goes red where a rule's sums are not those of all ranks: then some wait for others that reuse."""
    for runs in zip(*(rank["other_rules"] for rank in ranks), strict=True):
        for one in runs:
            assert one["shared"] == one["whole"] == runs[0]["whole"]
    reasons = {reason for rank in ranks for one in rank["other_rules"] for reason in one["reasons"]}
    assert {"schedule", "error", "error not known yet"} <= reasons
    assert {"compute", "reuse"} == {choice for one in ranks[0]["other_rules"] for choice in one["shared"]}


def test_ranks_that_decided_alone_would_have_differed(ranks: list[dict[str, Any]]) -> None:
    alone = zip(*([tuple(one["alone"]["choices"]) for one in rank["sequences"]] for rank in ranks), strict=True)
    assert sum(len(set(choices)) > 1 for choices in alone) > TRAJECTORIES / 2
    shared = [one["shared"] for rank in ranks for one in rank["sequences"]]
    reasons = [reason for one in shared for reason in one["reasons"]]
    assert set(reasons) == {"first call", "distance", "non-finite distance", "another rank"}
    assert {choice for one in shared for choice in one["choices"]} == {"compute", "reuse"}


def test_without_the_group_a_rank_that_computes_waits_in_vain(ranks: list[dict[str, Any]]) -> None:
    first, *others = [rank["alone"] for rank in ranks]
    assert "Timed out" in first
    assert set(others) == {"done"}


def test_a_call_that_failed_on_all_ranks_may_be_repeated(ranks: list[dict[str, Any]]) -> None:
    assert [rank["repeated"] for rank in ranks] == [(["compute", "reuse", "compute", "reuse"], True)] * len(ranks)


def test_while_one_rank_goes_past_the_cache_the_others_compute(ranks: list[dict[str, Any]]) -> None:
    *others, last = [rank["past"] for rank in ranks]
    assert last == ["compute: first call", "reuse: distance", "reuse: distance"]
    assert others == [["compute: first call", "reuse: distance", "compute: another rank", "reuse: distance"]] * len(
        others
    )


def test_a_call_makes_one_exchange_and_waits_for_it_alone(ranks: list[dict[str, Any]]) -> None:
    assert [rank["waits"] for rank in ranks] == [[["all_reduce", "tolist"]] * 3] * len(ranks)


def own_choices(branch: Decided) -> list[str]:
    """What a branch does alone, by the distances that it measured."""
    total, choices = 0.0, []
    for _, reason, distance in branch:
        passes = reason in ("bypass", "finish")
        total += 0.0 if distance is None else distance
        computes = distance is None or not total < THRESHOLD
        choices.append("compute" if computes else "reuse")
        total = 0.0 if computes and not passes else total
    return choices


def choices_together(branches: list[Decided]) -> list[str]:
    """What all branches do, by the distances that each measured."""
    totals, choices = [0.0] * len(branches), []
    for step in zip(*branches, strict=True):
        totals = [total + (distance or 0.0) for total, (_, _, distance) in zip(totals, step, strict=True)]
        computes = any(
            distance is None or not total < THRESHOLD for total, (_, _, distance) in zip(totals, step, strict=True)
        )
        choices.append("compute" if computes else "reuse")
        if computes:  # a call that runs past the cache leaves the sum of its branch alone
            passes = [reason in ("bypass", "finish") for _, reason, _ in step]
            totals = [total if past else 0.0 for total, past in zip(totals, passes, strict=True)]
    return choices


def test_branches_of_a_cfg_group_decide_each_for_itself(ranks: list[dict[str, Any]]) -> None:
    for runs in zip(*(rank["branches"] for rank in ranks), strict=True):
        for one in runs:
            assert [choice for choice, _, _ in one["branch"]] == own_choices(one["branch"])


def test_branches_of_a_cfg_group_compute_together(ranks: list[dict[str, Any]]) -> None:
    reasons = set()
    for runs in zip(*(rank["branches"] for rank in ranks), strict=True):
        expected = choices_together([one["branch"] for one in runs])
        for one in runs:
            assert [choice for choice, _, _ in one["any"]] == expected
            reasons |= {reason for _, reason, _ in one["any"]}
    assert {"another branch", "distance", *sharing.EVENTS[:2]} <= reasons
    assert len(expected) == STEPS


@pytest.mark.thorough
def test_shares_and_branches_at_once(tmp_path: Path) -> None:
    ranks = run_ranks(sharing.shares_and_branches, 4, tmp_path)
    for runs in zip(*ranks, strict=True):
        expected = choices_together([runs[0]["branch"], runs[2]["branch"]])
        assert [[choice for choice, _, _ in one["any"]] for one in runs] == [expected] * 4


@pytest.mark.skipif(not HAS_ULYSSES, reason="context parallelism came with diffusers 0.36")
@pytest.mark.parametrize("first", ["hook", "parallelism"])
@pytest.mark.parametrize("kind", ["flux", "wan"])
def test_diffusers_ulysses_decides_as_one_process(ranks: list[dict[str, Any]], kind: str, first: str) -> None:
    whole = ranks[0]["ulysses"][kind]["whole"]
    assert set(whole["choices"]) == {"compute", "reuse"}
    for rank in ranks:
        found = rank["ulysses"][kind][first]
        assert found["choices"] == whole["choices"]
        assert found["distances"][1:] == pytest.approx(whole["distances"][1:], rel=1e-4)
        same = ranks[0]["ulysses"][kind][first]["outputs"]
        assert all(map(torch.equal, found["outputs"], same))
        for output, expected in zip(found["outputs"], whole["outputs"], strict=True):
            torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


def test_the_copy_of_a_hooked_module_belongs_to_the_same_group(ranks: list[dict[str, Any]]) -> None:
    assert all(rank["copied"] for rank in ranks)


def test_groups_are_found_in_a_library_that_is_loaded(ranks: list[dict[str, Any]]) -> None:
    assert all(all(rank["found"]) and len(rank["found"]) == 6 for rank in ranks)


@pytest.mark.parametrize("name", ["process_group", "cfg_group"])
@pytest.mark.parametrize("value", [3, "world", math.nan])
def test_a_group_is_a_group(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a torch.distributed.ProcessGroup of this process"):
        TeaCacheConfig(**{name: value})
