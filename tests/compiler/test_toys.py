"""Every toy, cut and whole: nothing that can be seen from outside may differ."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from teaspec.compiler.pipeline import load_spec
from teaspec.compiler.report import SpecError
from teaspec.runtime.contract.context import CacheContext, Finished
from tests.compiler.split import (
    Computed,
    alike,
    at_another_time,
    called,
    compute,
    entered,
    forward,
    live_entries,
    observe,
    recorded,
    remember,
    replay,
    reuse,
)
from tests.compiler.toy_runs import Run, assert_same, extractor_of, runs, toys_that
from tests.toys import point_08_decorators
from tests.toys.shelf import GOOD
from tests.toys.toy import Call, Toy


@toys_that()
def test_a_computed_step_is_the_forward(toy: Toy) -> None:
    extractor = extractor_of(toy)
    for run in runs(toy):
        assert_same(observe(run.make(), run.call, entered(extractor)), run.expected)


@toys_that(lambda toy: toy.direct)
def test_the_bare_extractor_gives_the_same(toy: Toy) -> None:
    extractor = extractor_of(toy)
    for run in runs(toy):
        assert_same(observe(run.make(), run.call, called(extractor)), run.expected)


@toys_that(lambda toy: toy.raising or toy.raising_in_blocks)
def test_exceptions_are_those_of_the_forward(toy: Toy) -> None:
    extractor = extractor_of(toy)
    for run in (*runs(toy, "raising"), *runs(toy, "raising_in_blocks")):
        assert_same(observe(run.make(), run.call, entered(extractor)), run.expected)


@toys_that(lambda toy: toy.raising)
def test_exceptions_come_on_reused_steps_too(toy: Toy) -> None:
    extractor = extractor_of(toy)

    def without_blocks(context: CacheContext | Finished) -> Any:
        if isinstance(context, Finished):
            return context.value
        assert not any(entry is None for entry in live_entries(context).values())
        return context.postprocess(context.hidden_states, *live_entries(context).values())

    for run in runs(toy, "raising"):
        assert observe(run.make(), run.call, entered(extractor, without_blocks)).error == run.expected.error


@toys_that(lambda toy: toy.replay)
def test_a_step_without_blocks_gives_the_same_from_the_same_block_outputs(toy: Toy) -> None:
    extractor = extractor_of(toy)
    for run in runs(toy):
        computed = Computed()
        assert_same(observe(run.make(), run.call, entered(extractor, remember(computed))), run.expected)
        for _ in range(2):
            assert_same(observe(run.make(), run.call, entered(extractor, replay(computed))), run.expected)


@toys_that(lambda toy: toy.later)
def test_what_passes_through_no_block_is_of_this_call(toy: Toy) -> None:
    extractor = extractor_of(toy)
    loops = load_spec(toy.spec).blocks.loops
    for run in runs(toy):
        computed = Computed()
        observe(run.make(), run.call, entered(extractor, remember(computed)))
        later = Call({**run.call.kwargs, "timestep": run.call.kwargs["timestep"] * 3 + 1}, run.call.args)
        module = run.make()
        expected = at_another_time(module, [module.get_submodule(name) for name in loops], run.call, later)
        assert_same(observe(run.make(), later, entered(extractor, replay(computed))), expected)


@toys_that(lambda toy: toy.residual)
def test_a_reused_step_runs(toy: Toy) -> None:
    extractor = extractor_of(toy)
    for run in runs(toy):
        computed = Computed()
        observe(run.make(), run.call, entered(extractor, remember(computed)))
        found = observe(run.make(), run.call, entered(extractor, reuse(computed)))
        assert found.error is None
        assert alike(found.result, run.expected.result)


@toys_that()
def test_what_runs_on_a_reused_step(toy: Toy) -> None:
    extractor = extractor_of(toy)
    loops = tuple(f"{loop}." for loop in load_spec(toy.spec).blocks.loops)
    for run in runs(toy):
        computed = Computed()
        whole, cut, reused = (
            _submodules_called(run, how)
            for how in (forward, entered(extractor, remember(computed)), entered(extractor, replay(computed)))
        )
        assert not [path for path in reused if path.rpartition(".")[0] + "." in loops], "whole blocks ran"
        for path in set(cut) | set(reused):
            if not path.startswith(loops):
                assert cut[path] == whole[path], f"{path} runs {cut[path]} times, not {whole[path]}"
                assert reused[path] <= whole[path], f"{path} runs {reused[path]} times, not {whole[path]}"
        if toy.reused is not None:
            assert sorted(set(reused) - set(toy.free)) == sorted(toy.reused)
        if toy.with_blocks is not None:
            outside = {path for path in cut if path not in reused and not path.startswith(loops)}
            assert sorted(outside - set(toy.free)) == sorted(toy.with_blocks)


def _submodules_called(run: Run, how: Callable[..., Any]) -> Counter[str]:
    module = run.make()
    with recorded(module) as calls:
        observe(module, run.call, how)
    return Counter(calls)


def _contexts(extractor: Any, run: Run, look: Callable[[CacheContext], Any]) -> list[Any]:
    """What `look` sees in the context of a computed step, before the blocks run; nothing if there was no context."""
    seen: list[Any] = []

    def drive(context: CacheContext | Finished) -> Any:
        if not isinstance(context, Finished):
            seen.append(look(context))
        return compute(context)

    assert observe(run.make(), run.call, entered(extractor, drive)).error is None
    return seen


@toys_that(lambda toy: toy.carried is not None)
def test_what_crosses_into_the_postlude(toy: Toy) -> None:
    extractor = extractor_of(toy)
    assert tuple(extractor.live[1:]) == tuple(toy.carried)
    for run in runs(toy):
        for streams in _contexts(
            extractor, run, lambda context: {name: entry is not None for name, entry in live_entries(context).items()}
        ):
            assert streams == toy.carried


@toys_that()
def test_only_tensors_enter_as_streams(toy: Toy) -> None:
    extractor = extractor_of(toy)
    for run in runs(toy):
        for entries in _contexts(extractor, run, live_entries):
            assert [name for name, entry in entries.items() if not isinstance(entry, torch.Tensor | None)] == []


def _received(toy: Toy, run: Run) -> list[torch.Tensor]:
    """What the first attention receives in the forward, call by call; or what the signal's submodule returns."""
    received: list[torch.Tensor] = []

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        received.append((args[0] if args else kwargs["hidden_states"]).clone())

    def after(_: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
        received.append(output.clone())

    module = run.make()
    if toy.signal is not None:
        module.get_submodule(toy.signal).register_forward_hook(after)
    else:
        module.get_submodule(toy.attention or "").register_forward_pre_hook(before, with_kwargs=True)
    observe(module, run.call, forward)
    return received


@toys_that(lambda toy: toy.attention or toy.signal)
def test_the_modulated_input_is_what_the_first_attention_receives(toy: Toy) -> None:
    extractor = extractor_of(toy)
    for run in runs(toy):
        received = _received(toy, run)
        for modulated in _contexts(extractor, run, lambda context: context.modulated_input.clone()):
            if received:
                assert modulated.dtype == received[0].dtype
                assert torch.equal(modulated, received[0])


@toys_that(lambda toy: toy.build.__module__ == point_08_decorators.__name__)
def test_decorators_are_entered_once_and_left_once(toy: Toy) -> None:
    events = point_08_decorators.EVENTS
    extractor = extractor_of(toy)
    for run in (*runs(toy), *runs(toy, "raising"), *runs(toy, "raising_in_blocks")):
        events.clear()
        observe(run.make(), run.call, forward)
        expected = list(events)
        for drive in (compute, remember(Computed())):
            events.clear()
            observe(run.make(), run.call, entered(extractor, drive))
            assert events == expected


@pytest.mark.parametrize("toy", [toy for toy in GOOD if toy.may_refuse], ids=lambda toy: toy.name)
def test_odd_forwards_are_cut_exactly_or_refused(toy: Toy) -> None:
    try:
        extractor_of(toy)
    except SpecError as error:
        files = {Path(label.span.file).name for label in error.diagnostics[0].labels}
        assert Path(sys.modules[toy.build.__module__].__file__ or "").name in files, str(error)
        return
    test_a_computed_step_is_the_forward(toy)
    test_exceptions_are_those_of_the_forward(toy)
    test_exceptions_come_on_reused_steps_too(toy)
    test_a_step_without_blocks_gives_the_same_from_the_same_block_outputs(toy)
    test_what_runs_on_a_reused_step(toy)
    test_only_tensors_enter_as_streams(toy)
    if toy.direct:
        test_the_bare_extractor_gives_the_same(toy)
    if toy.residual:
        test_a_reused_step_runs(toy)
    if toy.attention:
        test_the_modulated_input_is_what_the_first_attention_receives(toy)
