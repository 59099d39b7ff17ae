"""What a reused step costs under each rule: the same call of copies that share the weights."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hooked.models import MODELS, STEPS, Size
from hooked.spread import Spread
from hooked.subject import ALWAYS, IDENTITY, Run, in_turn, operations_of, undisturbed
from teaspec import Mask, TeaCacheConfig, apply_teacache_hook
from teaspec.demo.twin import twin
from teaspec.runtime.pipeline.apply import find_teacache_hook

RULES: Mapping[str, Mapping[str, Any]] = {
    "threshold": {"rel_l1_thresh": ALWAYS, "coefficients": IDENTITY},
    "budget": {"budget": 3},
    "mask": {"rule": Mask([True, True, *[False] * (STEPS - 2)])},
    "tolerance": {"tolerance": 0.999},
}
"""Settings by name of the rule."""

REUSED = (2, 3, 4, 5)
"""Numbers of steps that all of them reuse."""


@dataclass(frozen=True)
class RuleCost:
    """A reused step under one rule. Times are in seconds.

    Attributes:
        reused: What it takes.
        ratio: That over the same step under the threshold rule.
        operations: Floating point operations.
        operators: Operators of torch that run.
    """

    reused: Spread
    ratio: Spread
    operations: int
    operators: int


class _Operators(TorchDispatchMode):
    """Counts operators."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


class Ruled:
    """A transformer in copies with a rule each.

    Attributes:
        calls: The keyword arguments of one generation.
        ways: The copies by rule.
    """

    def __init__(self, model: str, size: Size) -> None:
        torch.manual_seed(0)
        plain, self.calls = MODELS[model](size)
        self.ways: dict[str, Run] = {name: _hooked(plain, settings) for name, settings in RULES.items()}

    def begin(self, steps: int) -> None:
        """Runs so many steps of a new generation with each copy."""
        for run in self.ways.values():
            for call in self.calls[:steps]:
                run(**call)

    def check(self) -> None:
        """Makes sure that the last step was reused by all of them."""
        for name, run in self.ways.items():
            hook = find_teacache_hook(run)
            assert hook is not None and hook.decisions[-1].decision == "reuse", name


@torch.no_grad()
def measure_rules(subject: Ruled, rounds: int, clock: str = "wall") -> dict[str, RuleCost]:
    """Measures the rules in turn.

    Args:
        subject: What they are measured on.
        rounds: Generations, of which `REUSED` are measured.
        clock: `wall`, or `cpu` for the processor time of all threads.
    """
    order = random.Random(0)
    found: list[dict[str, float]] = []
    with undisturbed():
        for _ in range(rounds):
            subject.begin(REUSED[0])
            for step in REUSED:
                found.append(in_turn(subject.ways, subject.calls[step], clock, order))
                subject.check()
    subject.begin(REUSED[0])
    operations = {name: operations_of(run, subject.calls[REUSED[0]]) for name, run in subject.ways.items()}
    operators = {name: _operators_of(run, subject.calls[REUSED[1]]) for name, run in subject.ways.items()}
    subject.check()
    return {
        name: RuleCost(
            Spread.of([one[name] for one in found]),
            Spread.of([one[name] / one["threshold"] for one in found]),
            operations[name],
            operators[name],
        )
        for name in subject.ways
    }


def _hooked(plain: torch.nn.Module, settings: Mapping[str, Any]) -> Any:
    hooked = twin(plain)
    apply_teacache_hook(hooked, TeaCacheConfig(warmup_steps=0, num_inference_steps=STEPS, **settings))
    return hooked


def _operators_of(run: Run, call: dict[str, Any]) -> int:
    with _Operators() as counter:
        run(**call)
    return counter.count
