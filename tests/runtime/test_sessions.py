"""Generations whose calls interleave, in one thread, in several, and in asyncio tasks."""

from __future__ import annotations

import asyncio
import copy
import logging
import random
import threading
from typing import Any

import pytest
import torch

import teaspec
from tests.runtime.driving import choices, hooked, latents, signal
from tests.runtime.models import SingleStream

LEVELS = [1.0, 1.1, 1.9, 2.0]


def step(module: SingleStream, key: Any, number: int, scale: float = 1.0) -> torch.Tensor:
    with torch.no_grad(), teaspec.session(key):
        return module(latents(number), signal(LEVELS[number] * scale), 9.0 - number)


def test_sessions_are_kept_apart_and_go_on_where_they_left_off() -> None:
    module, hook = hooked()
    alone = [step(module, "alone", number) for number in range(4)]
    for number in range(4):
        for key, scale in (("a", 1.0), ("b", -3.0), (None, 7.0)):
            found = step(module, key, number, scale)
            if key == "a":
                assert torch.equal(found, alone[number])
    assert [one.key for one in hook.sessions.all] == ["alone", "a", "b", None]
    assert len({choices_of(hook, key) for key in ("alone", "a", "b", None)}) == 1
    assert choices(hook) == ["compute", "reuse", "compute", "reuse"]  # of the session of calls outside of any


def choices_of(hook: Any, key: Any) -> tuple[str, ...]:
    with teaspec.session(key):
        return tuple(choices(hook))


def test_sessions_may_be_nested() -> None:
    module, hook = hooked()
    with teaspec.session("outer"):
        module(latents(), signal(1.0))
        with teaspec.session("inner"):
            module(latents(), signal(1.0))
        module(latents(), signal(1.0))
        assert choices(hook) == ["compute", "reuse"]


def test_a_reset_is_that_of_the_current_session() -> None:
    module, hook = hooked()
    for key in ("a", "b"):
        step(module, key, 0)
    with teaspec.session("a"):
        module._reset_stateful_cache()
        assert hook.state_manager.states == {}
        assert hook.last_generation is not None
    with teaspec.session("b"):
        assert len(hook.state_manager.states) == 1


def test_ending_a_session_forgets_it() -> None:
    module, hook = hooked()
    for key in ("a", "b"):
        step(module, key, 0)
    held = {one.key: one.bytes_held for one in hook.sessions.all}
    assert held["a"] == held["b"] > 0
    teaspec.end_session(module, "a")
    teaspec.end_session(module, "never there")
    assert [one.key for one in hook.sessions.all] == ["b"]
    step(module, "a", 1)
    assert choices_of(hook, "a") == ("compute",)


def test_removal_frees_every_session() -> None:
    module, hook = hooked()
    for key in ("a", "b"):
        step(module, key, 0)
    sessions = hook.sessions.all
    teaspec.remove_teacache_hook(module)
    assert [one.bytes_held for one in sessions] == [0, 0]


def test_the_least_recently_used_session_is_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    module, hook = hooked(max_sessions=2)
    for key in ("a", "b", "a", "c", "d"):
        step(module, key, 0)
    assert [one.key for one in hook.sessions.all] == ["c", "d"]
    assert [record.message for record in caplog.records if "dropped the session" in record.message] == [
        "TeaCache dropped the session 'b' in the middle of its generation: more than 2 are running (max_sessions). Its "
        "next step is computed like the first of a new one. Said once"
    ]


def test_sessions_that_have_ended_by_themselves_go_first_and_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module, hook = hooked(max_sessions=2)
    step(module, "running", 0)
    with caplog.at_level(logging.WARNING):
        for key in range(5):
            step(module, key, 0)
            with teaspec.session(key):
                module._reset_stateful_cache()
    assert [one.key for one in hook.sessions.all] == ["running", 4]
    assert caplog.records == []


def test_a_failed_first_call_leaves_no_session_and_drops_none() -> None:
    module, hook = hooked(max_sessions=1)
    step(module, "a", 0)
    with pytest.raises(RuntimeError), teaspec.session("b"):
        module(latents()[..., :1], signal(1.0))
    assert [one.key for one in hook.sessions.all] == ["a"]


def test_the_number_of_steps_is_that_of_the_session() -> None:
    module, hook = hooked(thresh=1e9)
    for key, number in (("a", 2), ("b", 3)):
        with teaspec.session(key):
            hook.expect(number)
    for number in range(3):
        for key in ("a", "b"):
            step(module, key, number)
    assert choices_of(hook, "a") == ("compute", "compute", "reuse")  # the third was not told
    assert choices_of(hook, "b") == ("compute", "reuse", "compute")


def test_a_key_must_be_hashable() -> None:
    with pytest.raises(TypeError, match="unhashable"), teaspec.session([]):
        pass


def test_two_calls_at_once_in_one_session_are_an_error() -> None:
    module, hook = hooked()
    inside, leave = threading.Event(), threading.Event()

    def wait(*_: Any) -> None:
        inside.set()
        assert leave.wait(10)

    handle = module.blocks[0].register_forward_hook(wait)
    thread = threading.Thread(target=step, args=(module, "a", 0))
    thread.start()
    assert inside.wait(10)
    with pytest.raises(RuntimeError, match="two calls at once in TeaCache's session 'a'"):
        step(module, "a", 0)
    handle.remove()
    step(module, "b", 0)
    leave.set()
    thread.join()
    assert choices_of(hook, "a") == ("compute",)


def test_threads_have_their_own_cache_context() -> None:
    module, hook = hooked()
    entered, leave = threading.Event(), threading.Event()
    names = []

    def other() -> None:
        with teaspec.session("other"), module.cache_context("uncond"):
            entered.set()
            assert leave.wait(10)
            module(latents(), signal(1.0))
            names.extend(one.branch for one in hook.decisions)

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(10)
    with module.cache_context("cond"):
        module(latents(), signal(1.0))
    leave.set()
    thread.join()
    assert [one.branch for one in hook.decisions] + names == ["cond", "uncond"]


def test_asyncio_tasks_have_sessions_and_branches_of_their_own() -> None:
    module, hook = hooked()
    alone = [step(module, "alone", number) for number in range(4)]

    async def generate(key: int) -> list[torch.Tensor]:
        outputs = []
        with teaspec.session(key), teaspec.branch(f"branch {key}"):
            for number in range(4):
                with torch.no_grad():  # it is the thread's, so no task may hold it while others run
                    outputs.append(module(latents(number), signal(LEVELS[number]), 9.0 - number))
                await asyncio.sleep(random.Random(key + number).random() / 100)
            assert {one.branch for one in hook.decisions} == {f"branch {key}"}
        return outputs

    async def run() -> list[list[torch.Tensor]]:
        return await asyncio.gather(*map(generate, range(6)))

    for outputs in asyncio.run(run()):
        assert all(map(torch.equal, outputs, alone))


def test_a_copy_of_a_hook_has_sessions_of_its_own() -> None:
    module, hook = hooked()
    step(module, "a", 0)
    with pytest.raises(RuntimeError), teaspec.session("a"):
        module(latents()[..., :1], signal(1.0))
    twin = copy.deepcopy(hook.sessions)
    twin.clear()
    assert [one.key for one in hook.sessions.all] == ["a"]
