"""What the hook costs where it saves nothing, and what a reused step costs: on the inputs of one generation."""

from __future__ import annotations

import gc
import sys
from time import perf_counter
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from teaspec.demo.result import HookCost, StepFlops
from teaspec.demo.subject import Subject
from teaspec.demo.twin import twin
from teaspec.runtime.pipeline.apply import apply_teacache_hook
from teaspec.runtime.settings.config import TeaCacheConfig
from teaspec.spread import Spread

NEVER = sys.float_info.min
"""A threshold so small that no step is reused."""

ALWAYS = 1e9
"""A threshold that no step reaches."""

Call = dict[str, Any]


def record(subject: Subject) -> list[Call]:
    """Returns the keyword arguments of each call of the transformer in one generation without guidance."""
    calls: list[Call] = []

    def note(_module: Any, _args: Any, kwargs: Call) -> None:
        calls.append(dict(kwargs))

    handle = subject.model.transformer.register_forward_pre_hook(note, with_kwargs=True)
    try:
        subject.generate(guidance=1.0)
    finally:
        handle.remove()
    return calls


def measure_hook_cost(subject: Subject, calls: list[Call]) -> HookCost:
    """Replays the steps of one generation, hooked and unhooked in turn, and compares the times pair by pair."""
    plain = subject.model.transformer
    hooked = _hooked_twin(subject, NEVER)
    pairs: list[tuple[float, float]] = []
    gc.collect()
    for replay in range(subject.settings.replays):
        for number, call in enumerate(calls):
            # Which of the two comes first changes from pair to pair: the second finds its inputs in the cache.
            if (number + replay) % 2:
                unhooked, with_hook = _seconds(plain, call), _seconds(hooked, call)
            else:
                with_hook, unhooked = _seconds(hooked, call), _seconds(plain, call)
            pairs.append((unhooked, with_hook))
    return HookCost(
        plain=Spread.of(unhooked for unhooked, _ in pairs),
        hooked=Spread.of(with_hook for _, with_hook in pairs),
        ratio=Spread.of(with_hook / unhooked for unhooked, with_hook in pairs),
    )


def count_flops(subject: Subject, calls: list[Call]) -> StepFlops:
    """Counts the operations of an uncached call and of one that reuses the residual."""
    hooked = _hooked_twin(subject, ALWAYS)
    _call(hooked, calls[0])
    return StepFlops(full=_flops(subject.model.transformer, calls[1]), reused=_flops(hooked, calls[1]))


def _hooked_twin(subject: Subject, threshold: float) -> Any:
    hooked = twin(subject.model.transformer)
    apply_teacache_hook(hooked, TeaCacheConfig(threshold, list(subject.settings.coefficients)))
    return hooked


def _seconds(transformer: Any, call: Call) -> float:
    started = perf_counter()
    _call(transformer, call)
    return perf_counter() - started


def _flops(transformer: Any, call: Call) -> int:
    with FlopCounterMode(display=False) as counter:
        _call(transformer, call)
    return int(counter.get_total_flops())


@torch.no_grad()
def _call(transformer: Any, call: Call) -> None:
    with transformer.cache_context("cond"):
        transformer(**call)
