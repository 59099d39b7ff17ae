"""Threads and asyncio tasks that take turns on one transformer.

Each test names the rule without which it fails, the mutation; tests/runtime/truth has those that were tried by machine.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

import teaspec
from tests.runtime.driving import choices, hooked, latents, signal

ALWAYS = 1e9


def call(module: Any, timestep: float, seed: int = 0) -> torch.Tensor:
    with torch.no_grad():
        return module(latents(seed), signal(1.0), torch.tensor([timestep]))


def elsewhere(function: Callable[[], Any]) -> Any:
    """Runs a function in a thread of its own; returns what it returns, or the exception."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(function())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_threads_that_take_turns_without_sessions_are_an_error_that_says_what_to_do() -> None:
    """Mutation: `refuse_others` refuses nobody; the second thread's calls take the residuals of the first."""
    module, hook = hooked(thresh=ALWAYS)
    call(module, 9.0)
    call(module, 8.0)
    error = elsewhere(lambda: call(module, 7.0, seed=1))
    assert isinstance(error, RuntimeError)
    assert "with teaspec.session(key):" in str(error)
    call(module, 7.0)
    assert choices(hook) == ["compute", "reuse", "reuse"]  # the one that was refused left nothing behind


def test_a_thread_whose_generation_was_taken_over_is_refused() -> None:
    """The second thread begins a generation, with a timestep further back; the first one cannot go on with its own.

    Mutation: `commit` does not note the owner.
    """
    module, _ = hooked(thresh=ALWAYS)
    for timestep in (9.0, 8.0):
        call(module, timestep)
    assert isinstance(elsewhere(lambda: call(module, 9.0, seed=1)), torch.Tensor)
    with pytest.raises(RuntimeError, match="another thread or asyncio task"):
        call(module, 7.0)


def test_one_generation_after_the_other_may_come_from_any_thread() -> None:
    module, hook = hooked(thresh=ALWAYS)
    for _ in range(3):
        for timestep in (9.0, 8.0):
            call(module, timestep)
        module._reset_stateful_cache()
        elsewhere(lambda: [call(module, timestep) for timestep in (9.0, 8.0)])
        assert choices(hook) == ["compute", "reuse"]


def test_a_session_may_go_from_thread_to_thread() -> None:
    """Whose its calls are is said, and a pool of threads takes each step where there is room."""
    module, hook = hooked(thresh=ALWAYS)

    def step(timestep: float) -> None:
        with teaspec.session("a"):
            call(module, timestep)

    for timestep in (9.0, 8.0, 7.0):
        assert elsewhere(lambda timestep=timestep: step(timestep)) is None
    with teaspec.session("a"):
        assert choices(hook) == ["compute", "reuse", "reuse"]


def test_tasks_of_one_thread_that_take_turns_are_an_error_too() -> None:
    """Mutation: `owner` is the thread alone."""
    module, _ = hooked(thresh=ALWAYS)

    async def generate(seed: int) -> None:
        for timestep in (9.0, 8.0, 7.0):
            call(module, timestep - 0.5 * seed, seed)
            await asyncio.sleep(0)

    async def run() -> list[Any]:
        return await asyncio.gather(generate(0), generate(1), return_exceptions=True)

    found = asyncio.run(run())
    assert any(isinstance(one, RuntimeError) and "teaspec.session" in str(one) for one in found)
