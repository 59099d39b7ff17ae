"""What TeaCache did, as it is shown."""

from __future__ import annotations

import copy
import json
import logging
from io import StringIO
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

import teaspec
from teaspec import TeaCacheConfig
from teaspec.runtime.host.timing import Elapsed
from teaspec.runtime.report.table import size
from teaspec.runtime.step.hook import TeaCacheHook
from tests.runtime.driving import hooked, latents, signal
from tests.runtime.models import WIDTH, SingleStream

LEVELS = (1.0, 1.25, 4.0, 5.0)


def generate(module: SingleStream, scale: float = 1.0) -> None:
    with torch.no_grad():
        for number, level in enumerate(LEVELS):
            for branch in ("cond", "uncond"):
                with module.cache_context(branch):
                    module(latents(), signal(level * scale), 9.0 - number)


def test_it_tells_what_was_decided_in_each_branch() -> None:
    module, hook = hooked()
    generate(module)
    (one,) = teaspec.stats(SimpleNamespace(transformer=module)).transformers
    assert (one.name, one.bound) == ("transformer", 0.5)
    assert [(branch.branch, branch.computed, branch.reused) for branch in one.branches] == [
        ("cond", 2, 2),
        ("uncond", 2, 2),
    ]
    assert one.branches[0].decisions == tuple(one for one in hook.decisions if one.branch == "cond")
    assert [decision.distance for decision in one.branches[0].decisions] == [None, 0.25, pytest.approx(2.2), 0.25]
    assert one.bytes_held == one.sessions[None] == 2 * 4 * (WIDTH + 3 * WIDTH)


def test_the_last_generation_shows_until_the_next_one_begins() -> None:
    module, _ = hooked()
    assert teaspec.stats(module).transformers[0].branches == ()
    generate(module)
    module._reset_stateful_cache()
    found = teaspec.stats(module)
    assert (found.computed, found.reused, found.bytes_held) == (4, 4, 0)
    module(latents(), signal(1.0))
    assert teaspec.stats(module).computed == 1


def test_it_is_about_the_current_session_and_lists_all() -> None:
    module, _ = hooked()
    with teaspec.session("a"):
        generate(module)
    module(latents(), signal(1.0))
    found = teaspec.stats(module)
    assert found.computed == 1
    assert found.transformers[0].sessions == {"a": 128, None: 64}
    with teaspec.session("a"):
        assert teaspec.stats(module).computed == 4


def test_the_time_that_was_saved_is_estimated_from_measured_calls() -> None:
    module, _ = hooked()
    module.blocks[0].register_forward_hook(lambda *_: sleep(0.02))
    generate(module)
    found = teaspec.stats(module)
    (one,) = found.transformers
    for branch in one.branches:
        assert branch.computed_seconds > 0.02 > branch.reused_seconds
        assert branch.saved_seconds == 2 * (branch.computed_seconds - branch.reused_seconds)
    assert found.saved_seconds == sum(branch.saved_seconds for branch in one.branches) > 0.04


def test_elapsed_waits_for_events() -> None:
    waited = []

    class Event:
        def synchronize(self) -> None:
            waited.append(self)

        def elapsed_time(self, end: Any) -> float:
            return 250.0

    end = Event()
    assert Elapsed(Event(), end).seconds == 0.25
    assert waited == [end]


def test_it_prints_as_a_table() -> None:
    module, _ = hooked()
    generate(module)
    found = teaspec.stats(module)
    text = str(found)
    for part in ("SingleStream", "cond", "uncond", "128 B", "first call", "0.2500", "threshold 0.5", "reuse"):
        assert part in text
    screen = StringIO()
    Console(width=120, file=screen).print(found)
    assert screen.getvalue().rstrip() == text


def test_before_the_first_decision_there_is_nothing_to_plot() -> None:
    pytest.importorskip("matplotlib")
    module, _ = hooked()
    assert "nothing decided yet" in str(teaspec.stats(module))
    with pytest.raises(ValueError, match="not decided anything yet"):
        teaspec.stats(module).plot()
    with pytest.raises(ValueError, match="TeaCache is not on"):
        teaspec.stats(SingleStream())


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 30, "3 GiB")])
def test_sizes_are_readable(count: int, text: str) -> None:
    assert size(count) == text


def test_it_draws_a_row_for_each_branch(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    module, _ = hooked()
    generate(module)
    figure = teaspec.stats(module).plot(tmp_path / "steps.png")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "SingleStream, cond: 2 computed, 2 reused",
        "SingleStream, uncond: 2 computed, 2 reused",
    ]
    assert [bar.get_height() for bar in figure.axes[0].patches] == pytest.approx([0.0, 0.25, 2.45, 0.25])
    assert image.imread(tmp_path / "steps.png").std() > 0


def test_each_decision_is_told() -> None:
    seen: list[Any] = []
    module, hook = hooked(on_decision=lambda *told: seen.append(told))
    generate(module)
    assert [decision for _, decision in seen] == list(hook.decisions)
    assert all(told is module for told, _ in seen)
    with teaspec.session("a"):
        module(latents(), signal(1.0))
    assert seen[-1][1].session == "a"


def test_a_callback_that_fails_does_not_break_the_image(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("oops")

    plain, (module, hook) = SingleStream(), hooked(on_decision=fail)
    module.load_state_dict(plain.state_dict())
    assert torch.equal(module(latents(), signal(1.0)), plain(latents(), signal(1.0)))
    assert len(hook.decisions) == 1
    assert "on_decision failed" in caplog.text
    with pytest.raises(ValueError, match="on_decision must be callable, or None, found 3"):
        TeaCacheConfig(on_decision=3)


def test_debug_logging_says_the_same(caplog: pytest.LogCaptureFixture) -> None:
    module, hook = hooked()
    with caplog.at_level(logging.DEBUG, logger="teaspec"):
        generate(module)
    assert [record.message for record in caplog.records] == [f"TeaCache {decision}" for decision in hook.decisions]


def test_a_copy_keeps_the_record() -> None:
    module, hook = hooked()
    generate(module)
    twin = copy.deepcopy(hook.sessions)
    assert twin.all[0].log.current == hook.sessions.all[0].log.current


def held_by(hook: TeaCacheHook) -> int:
    return sum(session.bytes_held for session in hook.sessions.all)


def test_generations_in_sum_and_bounded_memory() -> None:
    """1,000 of them, in sessions of which two are kept. Mutation: `_use` does not add what it drops; or decisions of
    ended generations are kept.
    """
    module, hook = hooked(max_sessions=2)
    held, most = set(), set()
    for number in range(1000):
        with teaspec.session(number % 5), torch.no_grad():
            module(latents(), signal(1.0), 9.0)
            module(latents(), signal(1.25), 8.0)
            module(latents(), signal(9.0), 7.0)
            held.add(held_by(hook))
            most.add(hook.sessions.most_bytes)
            module._reset_stateful_cache()
    (one,) = teaspec.stats(module).transformers
    assert (one.sums.generations, one.sums.computed, one.sums.reused) == (1000, 2000, 1000)
    assert len(held) == len(most) == 1 and max(held) <= one.most_bytes and held_by(hook) == 0
    assert len(hook.sessions.all) == 2
    kept = [session.log for session in hook.sessions.all]
    assert [len(log.current.decisions) + len(log.last.decisions) for log in kept] == [3, 3]


def test_a_running_generation_counts_and_an_ended_session_stays_counted() -> None:
    """Mutation: `Sessions.end` forgets the sums, too; or `Session.sums` leaves out what runs."""
    module, _ = hooked()
    with teaspec.session("a"):
        module(latents(), signal(1.0), 9.0)
    assert teaspec.stats(module).transformers[0].sums.generations == 1
    teaspec.end_session(module, "a")
    assert teaspec.stats(module).transformers[0].sums.computed == 1


def test_the_most_memory_is_that_of_all_sessions_at_once() -> None:
    """Mutation: `entered` takes the weight of the session of the call alone, or `forget` leaves it."""
    module, hook = hooked()
    for key in "abc":
        with teaspec.session(key), torch.no_grad():
            module(latents(), signal(1.0), 9.0)
    three = held_by(hook)
    teaspec.end_session(module, "a")
    assert held_by(hook) == three * 2 // 3
    assert teaspec.stats(module).transformers[0].most_bytes == three


def test_it_is_json() -> None:
    """Mutation: `_plain` hands infinity on, which is no JSON; or `settings` holds the callback."""
    module, _ = hooked(on_decision=lambda *_: None, cache_dtype=torch.bfloat16)
    generate(module, scale=float("inf"))
    unmeasured = teaspec.stats(module).to_dict()
    json.dumps(unmeasured, allow_nan=False)
    decisions = unmeasured["transformers"][0]["branches"][0]["decisions"]
    assert "nan" in [one["numbers"].get("distance") for one in decisions]
    generate(module)
    found = teaspec.stats(module).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    (one,) = found["transformers"]
    assert (one["variant"], one["bound"], one["settings"]["cache_dtype"]) == ("base", 0.5, "torch.bfloat16")
    assert one["rule"] == "accumulated distance, signed, threshold 0.5"
    assert "on_decision" not in one["settings"]
    assert {decision["decision"] for decision in one["branches"][0]["decisions"]} == {"compute", "reuse"}


def test_the_table_tells_what_was_used_and_the_sums() -> None:
    module, _ = hooked()
    generate(module)
    text = " ".join(str(teaspec.stats(module)).split())
    assert "variant base, accumulated distance, signed, threshold 0.5; 1 generations in sum, 4 calls computed" in text


def test_the_threshold_stays_readable_beside_one_large_outlier() -> None:
    """Mutation: `_cut_off` is not called; then the line lies in the axis."""
    module, _ = hooked()
    with torch.no_grad():
        for number, level in enumerate((1.0, 1.1, 400.0, 410.0)):
            module(latents(), signal(level), 9.0 - number)
    axes = teaspec.stats(module).plot().axes[0]
    bottom, top = axes.get_ylim()
    assert (0.5 - bottom) / (top - bottom) > 0.1
    assert "363" in [text.get_text() for text in axes.texts]
