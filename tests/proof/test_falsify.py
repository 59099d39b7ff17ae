"""The search: seeded, shrinking, and honest about flaky failures."""

from __future__ import annotations

from hypothesis import strategies as st

from teaspec.proof.falsify import falsify


def refuse(limit):
    def holds(number):
        if number >= limit:
            raise ValueError(f"{number} is too large")

    return holds


def test_a_property_that_holds_sees_every_example():
    seen = []
    outcome = falsify(st.integers(0, 10**9), seen.append, examples=30, seed=0)
    assert (outcome.examples, outcome.failing, outcome.error) == (30, None, None)
    assert len(seen) == 30


def test_the_smallest_failing_example_is_found():
    outcome = falsify(st.integers(0, 10**6), refuse(1234), examples=100, seed=0)
    assert outcome.failing == 1234
    assert isinstance(outcome.error, ValueError) and str(outcome.error) == "1234 is too large"
    assert outcome.examples > 1


def test_the_seed_decides_about_the_draws():
    def drawn(seed):
        seen = []
        falsify(st.integers(0, 10**9), seen.append, examples=20, seed=seed)
        return seen

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_failure_that_does_not_repeat_is_a_failure():
    calls = []

    def holds(number):
        calls.append(number)
        if len(calls) == 3:
            raise ValueError("only once")

    outcome = falsify(st.integers(0, 10**9), holds, examples=20, seed=0)
    assert outcome.failing is not None
    assert "only once" in str(outcome.error)
