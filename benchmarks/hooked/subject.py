"""One transformer, bare and hooked, and ways to run a call of it."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from hooked.models import MODELS, Call, Size
from teaspec import TeaCacheConfig, apply_teacache_hook, stats
from teaspec.demo.twin import twin
from teaspec.runtime.pipeline.apply import find_teacache_hook

NEVER, ALWAYS = sys.float_info.min, sys.float_info.max
"""Thresholds at which nothing is reused, and everything but the first step."""

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]

CLOCKS: dict[str, Callable[[], float]] = {"wall": perf_counter, "cpu": process_time}

Run = Callable[..., Any]


class Parts:
    """The prelude, norm and head of a step, and its residual: the compiled extractor without a hook."""

    def __init__(self, hooked: Any) -> None:
        self.module, self.hook = hooked, find_teacache_hook(hooked)

    def __call__(self, **call: Any) -> Any:
        (state,) = self.hook.state_manager.states.values()
        residual = state.previous_residual

        def drive(context: Any) -> Any:
            return context.postprocess(context.hidden_states + residual)

        return self.hook.extractor_fn.enter(self.module, (), call, drive)


class Subject:
    """A transformer in copies that share the weights.

    Attributes:
        calls: The keyword arguments of one generation.
        plain: Without a hook.
        bare: A copy without a hook: what two runs of the same differ by.
        computing: Hooked, reuses nothing.
        reusing: Hooked, reuses all but the first step.
        parts: What `reusing` has to run at each step.
    """

    def __init__(self, model: str, size: Size) -> None:
        torch.manual_seed(0)
        self.plain, self.calls = MODELS[model](size)
        self.bare = twin(self.plain)
        self.computing, self.reusing = self._hooked(NEVER), self._hooked(ALWAYS)
        self.parts = Parts(self.reusing)
        for run in (self.plain, self.bare, self.computing, self.reusing):  # compiles, allocates, learns what is written
            for call in self.calls[:3]:
                run(**call)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.plain.parameters())

    def check(self) -> None:
        """Makes sure that what was measured is what it is called."""
        for hooked, expected in ((self.computing, "compute"), (self.reusing, "reuse")):
            hook = find_teacache_hook(hooked)
            assert hook is not None
            assert {one.decision for one in hook.decisions[1:]} == {expected}

    def share_of_operations(self) -> float:
        """Operations of a reused step over those of a computed one, counted by torch."""
        self.reusing(**self.calls[0])
        return operations_of(self.reusing, self.calls[1]) / operations_of(self.plain, self.calls[1])

    def bytes_held(self, order: int) -> int:
        """Bytes that the hook keeps after two computed steps."""
        hooked = self._hooked(NEVER, residual_order=order)
        for call in self.calls[:2]:
            hooked(**call)
        return stats(hooked).bytes_held

    def _hooked(self, threshold: float, **options: Any) -> Any:
        hooked = twin(self.plain)
        apply_teacache_hook(hooked, TeaCacheConfig(threshold, IDENTITY, warmup_steps=0, **options))
        return hooked


def in_turn(ways: dict[str, Run], call: Call, clock: str, order: random.Random) -> dict[str, float]:
    """Seconds that each way takes for the same call; which comes first is drawn."""
    now, found = CLOCKS[clock], {}
    for name in order.sample(list(ways), len(ways)):
        started = now()
        ways[name](**call)
        found[name] = now() - started
    return found


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keeps the garbage collector out."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def operations_of(run: Run, call: Call) -> int:
    """Floating point operations of a call, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        run(**call)
    return int(counter.get_total_flops())
