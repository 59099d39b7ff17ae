from __future__ import annotations

import torch

from tests.runtime.driving import choices, hooked, latents, signal
from tests.runtime.models import (
    UntimedStream,
    extract_single,
)


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
