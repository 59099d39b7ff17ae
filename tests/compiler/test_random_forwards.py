"""Random forwards, cut and whole. `-m thorough` tries many more."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import linecache
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st
from torch import nn

from teaspec.compiler.pipeline import compile_anew, load_spec
from teaspec.compiler.report import SpecError
from tests.compiler.random_forwards import RandomModel, random_model
from tests.compiler.split import (
    Computed,
    Outcome,
    at_another_time,
    called,
    entered,
    forward,
    observe,
    remember,
    replay,
    reuse,
)
from tests.toys.toy import Call, Draw, spec_text

T = TypeVar("T")
EXAMPLES, MANY_EXAMPLES = 400, 10_000
SEEDED = 200
LEAST_COMPILED = 0.7
_numbers = itertools.count()


class Drawn:
    """Choices that hypothesis makes, and shrinks."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def choose(self, options: Sequence[T]) -> T:
        return options[self.number(0, len(options) - 1)]

    def number(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))


class Seeded:
    """Choices that a seed makes."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choose(self, options: Sequence[T]) -> T:
        return self._random.choice(options)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder from which modules can be imported."""
    with tempfile.TemporaryDirectory() as name:
        sys.path.insert(0, name)
        yield Path(name)
        sys.path.remove(name)


@contextlib.contextmanager
def imported(folder: Path, model: RandomModel) -> Iterator[type[nn.Module]]:
    """The model's class, from a file of its own."""
    name = f"random_forward_{next(_numbers)}"
    file = folder / f"{name}.py"
    file.write_text(model.source, encoding="utf-8")
    importlib.invalidate_caches()
    try:
        yield importlib.import_module(name).Model
    finally:
        sys.modules.pop(name, None)
        linecache.cache.pop(str(file), None)
        file.unlink()


def calls() -> list[Call]:
    """Optional arguments both ways, and two calls that may raise."""
    draw = Draw(2, 3, 1, torch.float32)
    extras: list[dict[str, object]] = [
        {},
        {"flag": True, "scale": 2},
        {"options": {"a": 1}},
        {"flag": True, "options": {"b": 2}, "fail": "first"},
        {"scale": 3, "fail": "second"},
    ]
    return [Call({"hidden_states": draw.tensor(2, 3, 8), "timestep": draw.tensor(2), **extra}) for extra in extras]


def differences(found: Outcome, expected: Outcome, call: Call) -> str | None:
    """What differs, in words."""
    names = found.differences(expected)
    if not names:
        return None
    extra = {name: value for name, value in call.kwargs.items() if name not in {"hidden_states", "timestep"}}
    shown = [f"{name}: found {getattr(found, name)!r}, expected {getattr(expected, name)!r}" for name in names]
    return f"called with {extra}: " + "\n".join(shown)


def check(built: type[nn.Module], spec: str, model: RandomModel) -> str | None:
    """Compiles, and says what differs between cut and whole; raises SpecError where the compiler does."""
    torch.manual_seed(1)
    module = built()

    def fresh() -> nn.Module:
        module.count = 1  # all that these forwards change of their module
        return module

    extractor = compile_anew(load_spec(spec), module)
    for number, call in enumerate(calls()):
        expected = observe(fresh(), call, forward)
        if number == 0:
            problem = differences(observe(fresh(), call, called(extractor)), expected, call)
            if problem is not None:
                return f"{problem}\n{extractor.source}"
        computed = Computed()
        problem = differences(observe(fresh(), call, entered(extractor, remember(computed))), expected, call)
        if problem is not None:
            return f"{problem}\n{extractor.source}"
        if expected.error is not None:
            continue
        if model.repeatable:
            problem = differences(observe(fresh(), call, entered(extractor, replay(computed))), expected, call)
            if problem is not None:
                return f"without blocks, {problem}\n{extractor.source}"
        if model.repeatable and model.separable:
            later = Call({**call.kwargs, "timestep": call.kwargs["timestep"] * 3 + 1})
            expected = at_another_time(fresh(), [fresh().get_submodule(n) for n in model.loops], call, later)
            problem = differences(observe(fresh(), later, entered(extractor, replay(computed))), expected, later)
            if problem is not None:
                return f"without blocks, at another time, {problem}\n{extractor.source}"
        reused = observe(fresh(), call, entered(extractor, reuse(computed)))
        if reused.error is not None:
            return f"a reused step raised {reused.error}\n{extractor.source}"
    return None


def spec_of(built: type[nn.Module], model: RandomModel) -> str:
    """The spec of a random model."""
    return spec_text(f"{built.__module__}:Model", norm="blocks.0.norm1", loops=", ".join(model.loops))


def cut_exactly(data: st.DataObject, folder: Path) -> None:
    """Draws a forward; fails if it is cut, but not exactly."""
    model = random_model(Drawn(data))
    note(model.source)
    with torch.no_grad(), imported(folder, model) as built:
        try:
            problem = check(built, spec_of(built, model), model)
        except SpecError as error:
            event(f"refused: {error.diagnostics[0].code}")
            return
        event("repeatable" if model.repeatable else "compiled")
        assert problem is None, problem


_UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=_UNHURRIED)
@given(data=st.data())
def test_a_random_forward_is_cut_exactly(data: st.DataObject, folder: Path) -> None:
    cut_exactly(data, folder)


@pytest.mark.thorough
@settings(max_examples=MANY_EXAMPLES, deadline=None, suppress_health_check=_UNHURRIED)
@given(data=st.data())
def test_many_random_forwards_are_cut_exactly(data: st.DataObject, folder: Path) -> None:
    cut_exactly(data, folder)


def test_most_random_forwards_compile(folder: Path) -> None:
    refused: dict[str, int] = {}
    for seed in range(SEEDED):
        model = random_model(Seeded(seed))
        torch.manual_seed(1)
        with imported(folder, model) as built:
            try:
                compile_anew(load_spec(spec_of(built, model)), built())
            except SpecError as error:
                code = error.diagnostics[0].code
                refused[code] = refused.get(code, 0) + 1
    assert sum(refused.values()) <= (1 - LEAST_COMPILED) * SEEDED, refused
