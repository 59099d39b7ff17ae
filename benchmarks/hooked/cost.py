"""What the hook costs on computed and on reused steps of some subjects, measured interleaved."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from hooked.spread import Spread
from hooked.subject import Run, Subject, in_turn, undisturbed

REUSED_PER_COMPUTED = 3
"""Reused steps are short, so more of them are measured."""


@dataclass(frozen=True)
class Cost:
    """The figures of one subject. Times are in seconds; ratios and differences are those of steps side by side.

    Attributes:
        plain: A step without a hook.
        computed: A computed step with the hook.
        computed_ratio: The second over the first.
        control: A copy without a hook over the first: what the measurement itself is good for.
        parts: Prelude, norm and head of a reused step, without a hook.
        reused: A reused step.
        reused_ratio: The second over the first.
        added: The second minus the first.
    """

    plain: Spread
    computed: Spread
    computed_ratio: Spread
    control: Spread
    parts: Spread
    reused: Spread
    reused_ratio: Spread
    added: Spread


@torch.no_grad()
def measure(subjects: Mapping[str, Subject], rounds: int, clock: str = "wall") -> dict[str, Cost]:
    """Measures subjects in turn.

    A round is one step of each subject, run in each way; which subject and which way comes first is drawn.

    Args:
        subjects: By name.
        rounds: Of computed steps, at least two; of reused ones there are three times as many.
        clock: `wall`, or `cpu` for the processor time of all threads.
    """
    computed = _rounds(subjects, rounds, clock, lambda one: one.computing, _unhooked)
    reused = _rounds(subjects, REUSED_PER_COMPUTED * rounds, clock, lambda one: one.reusing, _parts)
    for subject in subjects.values():
        subject.check()
    return {name: _cost(computed[name], reused[name]) for name in subjects}


def _unhooked(subject: Subject) -> dict[str, Run]:
    return {"plain": subject.plain, "bare": subject.bare}


def _parts(subject: Subject) -> dict[str, Run]:
    return {"parts": subject.parts}


def _rounds(
    subjects: Mapping[str, Subject],
    rounds: int,
    clock: str,
    hooked: Callable[[Subject], Run],
    others: Callable[[Subject], dict[str, Run]],
) -> dict[str, list[dict[str, float]]]:
    """Seconds by subject, round and way."""
    order = random.Random(0)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in subjects}
    with undisturbed():
        for number in range(rounds):
            for name in order.sample(list(subjects), len(subjects)):
                subject = subjects[name]
                step = 1 + number % (len(subject.calls) - 1)
                if step == 1:
                    hooked(subject)(**subject.calls[0])  # the first step of a generation is always computed
                ways = {"hooked": hooked(subject)} | others(subject)
                found[name].append(in_turn(ways, subject.calls[step], clock, order))
    return found


def _cost(computed: list[dict[str, float]], reused: list[dict[str, float]]) -> Cost:
    return Cost(
        plain=Spread.of([one["plain"] for one in computed]),
        computed=Spread.of([one["hooked"] for one in computed]),
        computed_ratio=Spread.of([one["hooked"] / one["plain"] for one in computed]),
        control=Spread.of([one["bare"] / one["plain"] for one in computed]),
        parts=Spread.of([one["parts"] for one in reused]),
        reused=Spread.of([one["hooked"] for one in reused]),
        reused_ratio=Spread.of([one["hooked"] / one["parts"] for one in reused]),
        added=Spread.of([one["hooked"] - one["parts"] for one in reused]),
    )
