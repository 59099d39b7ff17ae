"""A budget is that of a generation: so many steps of each branch, with every scheduler, at every strength."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipelines.entry import Entry, Request
from tests.pipelines.hooked import Hooked
from tests.pipelines.stepping import Run, run
from tests.pipelines.table import BY_NAME
from tests.pipelines.test_steps import STEPS, runs


def computed(found: Run) -> Counter[str]:
    """Computed steps of each branch, of both transformers where there are two."""
    return Counter(one.branch for one in found.placed if one.decision == "compute")


def branches(found: Run) -> set[str]:
    return {one.branch for one in found.placed}


@runs()
def test_a_budget_is_computed_exactly(entry: Entry, request_: Request, scheduler: str | None) -> None:
    """Goes red where the steps are those that were asked for, not those that run."""
    steps = run(entry, request_, scheduler, budget=1.0).steps
    for budget in (2, 3, steps // 2, steps - 1, steps):
        found = run(entry, request_, scheduler, budget=budget)
        assert computed(found) == dict.fromkeys(branches(found), budget)
        assert {0, found.steps - 1} <= found.computed()
    found = run(entry, request_, scheduler, budget=0.4)
    assert computed(found) == dict.fromkeys(branches(found), -(-4 * steps // 10))


@pytest.mark.parametrize("scheduler", [None, "unipc", "heun"], ids=["FlowMatchEulerDiscrete", "unipc", "heun"])
def test_two_transformers_share_the_budget_of_a_generation(scheduler: str | None) -> None:
    """Goes red where a branch that begins in the middle spends all of it."""
    entry = BY_NAME["wan22"]
    steps = run(entry, Request(steps=STEPS), scheduler, budget=1.0).steps
    for budget in range(2, steps + 1):
        found = run(entry, Request(steps=STEPS), scheduler, budget=budget)
        assert computed(found) == dict.fromkeys(branches(found), budget)


def test_what_the_first_transformer_has_computed_is_paid_for_whatever_the_reason() -> None:
    """Goes red where `Run.computed` is left out: the first one computes more than its share here."""
    entry = BY_NAME["wan22"]
    for budget in (4, 5):
        found = run(entry, Request(steps=STEPS), None, budget=budget, start=0.3)
        assert computed(found) == dict.fromkeys(branches(found), budget)


@settings(deadline=None, max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("name", ["sd3-img2img", "wan22"])
def test_after_interruptions(name: str, data: Any) -> None:
    """A generation that is given up anywhere leaves nothing to the next one: the same steps, the same image."""
    budget, entry = data.draw(st.integers(2, 6)), BY_NAME[name]
    hooked, request = Hooked(entry, budget=budget), Request(steps=8, strength=1.0)
    undisturbed = hooked.generate(request)
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.integers(0, 7))

        def give_up(_pipe: Any, step: int, where: int = where) -> None:
            if step == where:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            hooked.generate(request, give_up)
    again = hooked.generate(request)
    assert again.decided == undisturbed.decided
    assert again.image.equal(undisturbed.image)
    counts = Counter(one.branch for one in again.decided if one.decision == "compute")
    assert set(counts.values()) == {budget}
