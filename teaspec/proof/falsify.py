"""Running one property over drawn examples, and shrinking what breaks it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import hypothesis
from hypothesis.errors import FlakyFailure, HypothesisWarning, NonInteractiveExampleWarning
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What the search found: how many examples ran, and the smallest one that failed with its exception."""

    examples: int
    failing: T | None
    error: BaseException | None


def falsify(strategy: SearchStrategy[T], holds: Callable[[T], None], *, examples: int, seed: int) -> Outcome[T]:
    """Searches for an example for which `holds` raises.

    The same strategy, property, count and seed give the same outcome: no example database, no deadline.

    Args:
        strategy: Where examples are drawn from.
        holds: Raises for an example that breaks the property.
        examples: How many examples to draw.
        seed: Seed of the draws.

    Returns:
        The outcome; `failing` is the smallest failing example that shrinking reached.
    """
    ran = 0
    last: list[T] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
    )
    @hypothesis.given(strategy)
    def search(example: T) -> None:
        nonlocal ran
        ran += 1
        last[:] = [example]
        holds(example)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)
        warnings.simplefilter("ignore", NonInteractiveExampleWarning)
        try:
            search()
        except FlakyFailure as flaky:
            # it failed once and held when repeated: that, too, is a failure to report
            return Outcome(ran, last[0], flaky.exceptions[0] if flaky.exceptions else flaky)
        except Exception as error:
            # hypothesis ends with a replay of the smallest failing example, so `last` holds it
            return Outcome(ran, last[0], error)
    return Outcome(ran, None, None)
