"""Every toy, cut and whole: nothing that can be seen from outside may differ."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from teaspec.compiler.pipeline import compile_spec, load_spec
from teaspec.compiler.report import SpecError
from teaspec.runtime.context import CacheContext, Finished
from tests.compiler.split import (
    Computed,
    Outcome,
    alike,
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
from tests.toys import point_08_decorators
from tests.toys.shelf import GOOD, REFUSED
from tests.toys.toy import Call, Refusal, Toy, draws

ROOT = Path(__file__).parents[2]
every_toy = pytest.mark.parametrize("toy", GOOD, ids=lambda toy: toy.name)


@functools.cache
def _compiled(toy_index: int) -> Any:
    toy = GOOD[toy_index]
    try:
        return compile_spec(load_spec(toy.spec), toy.module())
    except SpecError as error:
        if toy.may_refuse:
            return error
        raise


def extractor_of(toy: Toy) -> Any:
    """The compiled extractor; skips a toy that is rightly refused."""
    extractor = _compiled(GOOD.index(toy))
    if isinstance(extractor, SpecError):
        assert any(Path(label.span.file).name != "<spec>" for item in extractor.diagnostics for label in item.labels)
        pytest.skip(f"refused: {extractor.diagnostics[0].code}")
    return extractor


@dataclass(frozen=True)
class Run:
    """One call of a toy and what the forward does with it."""

    make: Callable[[], nn.Module]
    call: Call
    expected: Outcome


@functools.cache
def _runs(toy_index: int, kind: str) -> list[Run]:
    toy = GOOD[toy_index]
    source = getattr(toy, kind)
    found = []
    for draw in draws():
        for prepare in toy.prepare:
            make = functools.partial(toy.module, draw.dtype, prepare)
            found += [Run(make, call, observe(make(), call, forward)) for call in (source(draw) if source else [])]
    return found


def runs(toy: Toy, kind: str = "calls") -> list[Run]:
    """Every size, dtype, setting and call of a toy; `kind` is `calls`, `raising` or `raising_in_blocks`."""
    found = _runs(GOOD.index(toy), kind)
    assert all((run.expected.error is None) == (kind == "calls") for run in found)
    return found


def assert_same(found: Outcome, expected: Outcome) -> None:
    """Fails with the names of what differs."""
    differences = found.differences(expected)
    assert not differences, "\n".join(
        f"{name}: {getattr(found, name)!r}\n  expected {getattr(expected, name)!r}" for name in differences
    )


@every_toy
def test_a_computed_step_is_the_forward(toy: Toy) -> None:
    extractor = extractor_of(toy)
    for run in runs(toy):
        assert_same(observe(run.make(), run.call, entered(extractor)), run.expected)


@every_toy
def test_the_bare_extractor_gives_the_same(toy: Toy) -> None:
    extractor = extractor_of(toy)
    if not toy.direct:
        pytest.skip("a decorator changes what the call gives")
    for run in runs(toy):
        assert_same(observe(run.make(), run.call, called(extractor)), run.expected)


@every_toy
def test_exceptions_are_those_of_the_forward(toy: Toy) -> None:
    extractor = extractor_of(toy)
    if toy.raising is None and toy.raising_in_blocks is None:
        pytest.skip("raises nothing")
    for run in (*runs(toy, "raising"), *runs(toy, "raising_in_blocks")):
        assert_same(observe(run.make(), run.call, entered(extractor)), run.expected)


@every_toy
def test_exceptions_come_on_reused_steps_too(toy: Toy) -> None:
    extractor = extractor_of(toy)
    if toy.raising is None:
        pytest.skip("raises nothing outside the blocks")

    def without_blocks(context: CacheContext | Finished) -> Any:
        if isinstance(context, Finished):
            return context.value
        assert not any(entry is None for entry in live_entries(context).values())
        return context.postprocess(context.hidden_states, *live_entries(context).values())

    for run in runs(toy, "raising"):
        assert observe(run.make(), run.call, entered(extractor, without_blocks)).error == run.expected.error


@every_toy
def test_a_step_without_blocks_gives_the_same_from_the_same_block_outputs(toy: Toy) -> None:
    extractor = extractor_of(toy)
    if not toy.replay:
        pytest.skip("the blocks change arguments")
    for run in runs(toy):
        computed = Computed()
        assert_same(observe(run.make(), run.call, entered(extractor, remember(computed))), run.expected)
        for _ in range(2):
            assert_same(observe(run.make(), run.call, entered(extractor, replay(computed))), run.expected)


@every_toy
def test_a_reused_step_runs(toy: Toy) -> None:
    extractor = extractor_of(toy)
    if not toy.residual:
        pytest.skip("the stream leaves the blocks in another shape")
    for run in runs(toy):
        computed = Computed()
        observe(run.make(), run.call, entered(extractor, remember(computed)))
        found = observe(run.make(), run.call, entered(extractor, reuse(computed)))
        assert found.error is None
        assert alike(found.result, run.expected.result)


@every_toy
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


@every_toy
def test_what_crosses_into_the_postlude(toy: Toy) -> None:
    extractor = extractor_of(toy)
    if toy.carried is None:
        pytest.skip("more than one answer is right")
    assert tuple(extractor.live[1:]) == tuple(toy.carried)
    for run in runs(toy):
        for streams in _contexts(
            extractor, run, lambda context: {name: entry is not None for name, entry in live_entries(context).items()}
        ):
            assert streams == toy.carried


@every_toy
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


@every_toy
def test_the_modulated_input_is_what_the_first_attention_receives(toy: Toy) -> None:
    extractor = extractor_of(toy)
    if toy.attention is None and toy.signal is None:
        pytest.skip("nothing to compare with")
    for run in runs(toy):
        received = _received(toy, run)
        for modulated in _contexts(extractor, run, lambda context: context.modulated_input.clone()):
            if received:
                assert modulated.dtype == received[0].dtype
                assert torch.equal(modulated, received[0])


@every_toy
def test_decorators_are_entered_once_and_left_once(toy: Toy) -> None:
    events = point_08_decorators.EVENTS
    extractor = extractor_of(toy)
    if point_08_decorators.__name__ not in toy.build.__module__:
        pytest.skip("no decorators")
    for run in (*runs(toy), *runs(toy, "raising"), *runs(toy, "raising_in_blocks")):
        events.clear()
        observe(run.make(), run.call, forward)
        expected = list(events)
        for drive in (compute, remember(Computed())):
            events.clear()
            observe(run.make(), run.call, entered(extractor, drive))
            assert events == expected


@every_toy
def test_the_text_stands_alone(toy: Toy, tmp_path: Path) -> None:
    extractor = extractor_of(toy)
    if toy.build.__name__ == "Closed":
        pytest.skip("no import reaches the names of the function around the class")
    file = tmp_path / f"extractor_of_{toy.build.__name__}.py"
    file.write_text(extractor.source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    imported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(imported)
    for run in runs(toy):
        assert_same(observe(run.make(), run.call, entered(imported.extractor)), run.expected)


_DIGEST = """
import hashlib, sys
from teaspec.compiler.pipeline import compile_spec, load_spec
from teaspec.compiler.report import SpecError
from tests.toys.shelf import GOOD
for toy in GOOD:
    try:
        text = compile_spec(load_spec(toy.spec), toy.module()).source
    except SpecError as error:
        text = str(error)
    print(toy.name, hashlib.sha256(text.encode()).hexdigest())
"""


def _digests(seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _DIGEST], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_the_same_text_in_every_process() -> None:
    digests = _digests("1")
    assert len(digests) == len(GOOD)
    assert digests == _digests("2")
    for toy, line in zip(GOOD, digests, strict=True):
        compiled = _compiled(GOOD.index(toy))
        text = str(compiled) if isinstance(compiled, SpecError) else compiled.source
        assert line == f"{toy.name} {hashlib.sha256(text.encode()).hexdigest()}"


def _refused(refusal: Refusal) -> SpecError:
    torch.manual_seed(1)
    with pytest.raises(SpecError) as caught:
        compile_spec(load_spec(refusal.spec), refusal.build())
    return caught.value


def _marked_line(refusal: Refusal) -> tuple[str, int, str]:
    file = Path(sys.modules[refusal.build.__module__].__file__ or "")
    lines = file.read_text(encoding="utf-8").splitlines()
    marked = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {refusal.marker}")]
    assert len(marked) == 1
    return file.name, marked[0], lines[marked[0] - 1]


every_refusal = pytest.mark.parametrize("refusal", REFUSED, ids=[f"{n}-{item.name}" for n, item in enumerate(REFUSED)])


@every_refusal
def test_refusals_have_their_code(refusal: Refusal) -> None:
    error = _refused(refusal)
    assert error.diagnostics[0].code == refusal.code, str(error)


@every_refusal
def test_one_mistake_gives_one_message(refusal: Refusal) -> None:
    error = _refused(refusal)
    assert len(error.diagnostics) == 1, str(error)


@every_refusal
def test_refusals_point_at_the_spec_and_at_the_model(refusal: Refusal) -> None:
    error = _refused(refusal)
    labels = error.diagnostics[0].labels
    assert labels[0].span.file == "<spec>"
    assert labels[0].line_text == refusal.spec.splitlines()[labels[0].span.line - 1]
    if refusal.marker is not None:
        places = [(Path(label.span.file).name, label.span.line, label.line_text) for label in labels[1:]]
        assert _marked_line(refusal) in places, str(error)
