from __future__ import annotations

import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import teaspec
from teaspec.runtime.generation.timeline import PAIR
from teaspec.runtime.host.groups import HOMES
from tests.runtime.driving import choices, hooked, latents, reasons, signal
from tests.runtime.models import SingleStream, SingleStreamExtractor, UntimedStream, extract_single


def test_branches_named_by_cache_context_are_kept_apart() -> None:
    module, hook = hooked()
    with torch.no_grad():
        for level in (1.0, 1.25):
            for offset, branch in enumerate(["cond", "uncond", "third"]):
                with module.cache_context(branch):
                    module(latents(offset), signal(level + 100 * offset))
    assert list(hook.state_manager.states) == ["cond", "uncond", "third"]
    assert [decision.branch for decision in hook.decisions] == ["cond", "uncond", "third"] * 2
    assert hook.decisions[3].distance == 0.25
    assert choices(hook) == ["compute"] * 3 + ["reuse"] * 3
    assert hook.counts["cond"].computed == hook.counts["cond"].reused == 1


def test_without_names_the_kth_call_at_a_timestep_is_a_branch() -> None:
    module, hook = hooked()
    for timestep, level in ((2.0, 1.0), (1.0, 1.25)):
        for offset in range(3):
            module(latents(), signal(level + 100 * offset), torch.tensor([timestep]))
    assert [decision.branch for decision in hook.decisions] == ["#0", "#1", "#2"] * 2
    assert choices(hook) == ["compute"] * 3 + ["reuse"] * 3


def test_without_a_timestep_there_is_one_branch() -> None:
    module, hook = hooked(UntimedStream(), extract_single)
    for _ in range(3):
        module(latents(), signal(1.0))
    assert [decision.branch for decision in hook.decisions] == ["#0"] * 3


def test_a_timestep_that_turns_back_begins_a_generation_like_a_fresh_one() -> None:
    module, hook = hooked()
    with torch.no_grad():
        runs = [
            [module(latents(), signal(level), torch.tensor(t)) for t, level in ((3.0, 1.0), (2.0, 1.1), (1.0, 1.2))]
            for _ in range(3)
        ]
    for run in runs[1:]:
        assert all(torch.equal(one, other) for one, other in zip(run, runs[0], strict=True))
    assert choices(hook) == ["compute", "reuse", "reuse"]
    assert hook.last_generation.decisions == hook.decisions


def test_reset_forgets_the_states_but_not_the_record() -> None:
    module, hook = hooked()
    with module.cache_context("cond"):
        module(latents(), signal(1.0))
    module(latents(), signal(1.0), 5.0)
    record = hook.decisions
    module._reset_stateful_cache()
    assert hook.state_manager.states == {}
    assert hook.decisions == ()
    assert hook.counts == {}
    hook.reset_state(module)
    assert hook.last_generation.decisions == record
    assert hook.last_generation.counts["cond"].computed == 1
    module(latents(), signal(1.0), 5.0)
    assert [(decision.branch, decision.step, decision.reason) for decision in hook.decisions] == [
        ("#0", 0, "first call")
    ]


def run_pairs(module: Any, levels: list[tuple[float, float]]) -> None:
    """Two unnamed calls a step, on signals far apart."""
    for step, pair in enumerate(levels):
        for level in pair:
            module(latents(), signal(level), 9.0 - step)


def test_an_explicit_name_comes_before_all_others() -> None:
    module, hook = hooked()
    module.do_true_cfg = True
    with module.cache_context("cond"):
        with teaspec.branch("uncond"):
            module(latents(), signal(1.0), 2.0)
        module(latents(), signal(1.0), 2.0)
    with teaspec.branch("third"):
        module(latents(), signal(1.0), 2.0)
    module(latents(), signal(1.0), 2.0)
    assert [one.branch for one in hook.decisions][:3] == ["uncond", "cond", "third"]
    assert hook.decisions[3].branch in PAIR


@pytest.mark.parametrize(("name", "error"), [(None, TypeError), (3, TypeError), ("", ValueError)])
def test_a_branch_has_a_name(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="a branch"), teaspec.branch(name):
        pass


def test_true_cfg_alternates_between_two_branches() -> None:
    module, hook = hooked(UntimedStream(), extract_single)
    module.do_true_cfg = True
    for level in (1.0, 100.0, 1.25, 125.0):
        module(latents(), signal(level))
    assert [one.branch for one in hook.decisions] == [*PAIR, *PAIR]
    assert choices(hook) == ["compute", "compute", "reuse", "reuse"]
    assert [one.distance for one in hook.decisions[2:]] == [0.25, 0.25]


def test_neither_failed_calls_nor_bypassing_ones_shift_the_parity() -> None:
    extractor = SingleStreamExtractor(bypass=("record",))
    module, hook = hooked(UntimedStream(), extractor)
    module.do_true_cfg = True
    module(latents(), signal(1.0))
    with pytest.raises(RuntimeError):
        module(latents()[..., :1], signal(1.0))
    SingleStream.forward(module, latents(), signal(1.0), record=[])
    module(latents(), signal(100.0))
    module(latents(), signal(1.25))
    assert [one.branch for one in hook.decisions] == ["positive", "negative", "positive"]
    assert choices(hook)[2] == "reuse"


@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("home", ["config", *HOMES])
def test_with_cfg_parallelism_the_rank_tells_the_branch(rank: int, home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if home != "config":
        group = SimpleNamespace(
            get_sequence_parallel_world_size=lambda: 1,
            get_classifier_free_guidance_world_size=lambda: 3,
            get_classifier_free_guidance_rank=lambda: rank,
        )
        monkeypatch.setitem(sys.modules, home, group)
    module, hook = hooked(cfg_rank=rank if home == "config" else None)
    module(latents(), signal(1.0), 3.0)
    module.do_true_cfg = True
    for timestep in (3.0, 2.0, 1.0):
        module(latents(), signal(1.0), timestep)
    module.do_true_cfg = False
    module(latents(), signal(1.0), 1.0)
    own = "positive" if rank == 0 else "negative"
    assert [one.branch for one in hook.decisions] == ["#0", own, own, own, "#0"]


@pytest.mark.parametrize("size", [1, None], ids=["group of one", "no group"])
def test_without_a_cfg_group_of_several_calls_alternate(size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def world_size() -> int:
        assert size is not None, "the parallel group is not initialized"
        return size

    group = SimpleNamespace(
        get_sequence_parallel_world_size=world_size, get_classifier_free_guidance_world_size=world_size
    )
    for home in HOMES:
        monkeypatch.setitem(sys.modules, home, group)
    module, hook = hooked()
    module.do_true_cfg = True
    run_pairs(module, [(1.0, 100.0), (1.25, 125.0)])
    assert [one.branch for one in hook.decisions] == [*PAIR, *PAIR]


def test_branches_that_decide_together_compute_when_one_does() -> None:
    together, hook = hooked(decide="any")
    apart, other = hooked()
    # The second branch moves on from step 2 to 3; alone, the first one would go on reusing.
    levels = [(1.0, 100.0), (1.1, 110.0), (1.1, 180.0), (1.1, 180.0), (1.1, 180.0)]
    for module in (together, apart):
        run_pairs(module, levels)
    assert choices(other) == ["compute", "compute", "reuse", "reuse", "reuse", "compute", *["reuse"] * 4]
    assert choices(hook) == [*["compute"] * 2, *["reuse"] * 4, *["compute"] * 2, *["reuse"] * 2]
    assert reasons(hook)[4:8] == ["distance", "another branch", "another branch", "distance"]


def test_the_branches_that_follow_compute_with_the_first() -> None:
    module, hook = hooked(decide="any")
    run_pairs(module, [(1.0, 100.0), (2.0, 101.0), (2.0, 101.0)])
    assert choices(hook) == ["compute"] * 4 + ["reuse"] * 2
    assert reasons(hook)[2:4] == ["distance", "another branch"]
    assert [one.accumulated_rel_l1_distance for one in hook.state_manager.states.values()] == [0.0, 0.0]


@settings(deadline=None, max_examples=60)
@given(
    moves=st.lists(st.lists(st.floats(0, 0.625, width=32), min_size=3, max_size=3), min_size=2, max_size=8),
    named=st.booleans(),
)
def test_the_calls_of_a_step_stay_together(moves: list[list[float]], named: bool) -> None:
    module, hook = hooked(decide="any")
    signals = [1.0, 10.0, 100.0]
    for step, distances in enumerate(moves):
        for index, distance in enumerate(distances):
            signals[index] *= 1 + distance
            with teaspec.branch(f"b{index}") if named else nullcontext():
                module(latents(), signal(signals[index]), 99.0 - step)
    by_step = [choices(hook)[start : start + 3] for start in range(0, 3 * len(moves), 3)]
    assert all(len(set(step)) == 1 for step in by_step)
    due = False  # whether a branch has a sum that reaches the threshold, measured in a step that was reused
    sums = [0.0] * 3
    for step in range(1, len(moves)):
        measured = [hook.decisions[3 * step + index].distance for index in range(3)]
        expected = due or sums[0] + measured[0] >= 0.5
        assert by_step[step][0] == ("compute" if expected else "reuse")
        sums = [0.0] * 3 if expected else [total + one for total, one in zip(sums, measured, strict=True)]
        due = any(total >= 0.5 for total in sums[1:])
