"""Random forwards, cut and whole. `-m thorough` tries many more."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import linecache
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st
from torch import nn

from teaspec.compiler.pipeline import compile_anew, load_spec
from teaspec.compiler.report import SpecError
from tests.compiler.random_forwards.model import RandomModel, random_model
from tests.compiler.random_forwards.scope import LATENTS, TIME
from tests.compiler.split import (
    Computed,
    Outcome,
    at_another_time,
    called,
    entered,
    forget,
    forward,
    observe,
    remember,
    replay,
    reuse,
)
from tests.toys.toy import Call, Draw, spec_text

# The survey of drawn forwards is made once, so one worker takes all tests here.
pytestmark = pytest.mark.xdist_group("random forwards")

T = TypeVar("T")
EXAMPLES, MANY_EXAMPLES = 200, 10_000
SEEDED = 400
LEAST_COMPILED = 0.7
LEAST_JUDGED, LEAST_JUDGED_AT_ANOTHER_TIME, LEAST_JUDGED_WITH_ALL_ANEW = 0.94, 0.84, 0.7
"""Of the forwards that compile, those whose reused step is judged: on the inputs of the computed one, at another time,
and at another time with other latents. It is not where the blocks draw random numbers or change an argument, nor where
a value that they leave is made of their outputs and of the call: by design that is the last computed step's."""
KINDS = {
    "shared": (200, 0.6), "shared, loop": (50, 0.4), "shared, tail": (12, 0.5), "through": (40, 0.5),
    "helper": (90, 0.6), "helper, loop": (12, 0.4), "helper, tail": (5, 0.3),
    "anew": (150, 0.6), "anew, loop": (60, 0.5), "anew, between": (12, 0.4), "anew, tail": (20, 0.5),
    "note": (100, 0.6), "note, postlude": (25, 0.6), "recall": (30, 0.6), "recall, postlude": (10, 0.5),
    "tail": (80, 0.6),
    "match": (90, 0.6), "match, prelude": (60, 0.6), "match, loop": (8, 0.2), "match, postlude": (20, 0.6),
    "turn: method": (15, 0.5), "turn: method, both": (15, 0.5), "turn: function": (25, 0.5),
    "turn: function, both": (4, 0),
    "loop: last": (25, 0.6), "loop: skip": (40, 0.6), "loop: counted": (50, 0.6), "loop: helper": (50, 0.6),
}  # fmt: skip
"""Kinds of statements, of which some with the place where they stand, and of loops: how many of the seeded forwards
hold one at least, and what share of these compiles."""
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
        {"skip": (0,)},
        {"skip": (1,), "scale": 2},
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
        forget(module, {"count": 1})  # all else on it, these forwards have left there
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
        if model.repeatable and model.anew:
            later = Call({**call.kwargs, **{name: call.kwargs[name] * 3 + 1 for name in model.anew}})
            expected = at_another_time(fresh(), [module.get_submodule(n) for n in model.loops], call, later)
            problem = differences(observe(fresh(), later, entered(extractor, replay(computed))), expected, later)
            if problem is not None:
                return f"without blocks, with other {sorted(model.anew)}, {problem}\n{extractor.source}"
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
    """Mutations, each with the kind that found it (how many forwards of that kind it took, drawn by seeds).

    * through: `+x` and `x[...]` are taken for new objects (18).
    * note: `slice` does not ask `left_behind` (1).
    * tail: `Extent._is_done_again` says False (6).
    * anew: `_is_made_again` says False (5).
    * loop: last: `_runs_block` knows loops alone (12).
    * turn: function, both: `_traced` forgets the functions of the prelude (3).
    * helper: `_display` and `_dict` take what they hold for one value (10).
    * match: `_capture` takes what is matched for one value (14).
    * loop: skip: `_leaves_loop` says False (7).
    """
    cut_exactly(data, folder)


@pytest.mark.thorough
@settings(max_examples=MANY_EXAMPLES, deadline=None, suppress_health_check=_UNHURRIED)
@given(data=st.data())
def test_many_random_forwards_are_cut_exactly(data: st.DataObject, folder: Path) -> None:
    cut_exactly(data, folder)


@dataclass
class Survey:
    """What came of random forwards.

    Attributes:
        models: Each of them, with the code of the diagnostic by which it was refused, None if it compiled.
    """

    models: list[tuple[RandomModel, str | None]]

    def with_kind(self, kind: str) -> list[str | None]:
        """What came of those that hold a kind of statement."""
        return [code for model, code in self.models if kind in model.kinds]

    @property
    def compiled(self) -> list[RandomModel]:
        return [model for model, code in self.models if code is None]


@pytest.fixture(scope="module")
def survey(folder: Path) -> Survey:
    """The first forwards that seeds draw."""
    found: list[tuple[RandomModel, str | None]] = []
    for seed in range(SEEDED):
        model, code = random_model(Seeded(seed)), None
        torch.manual_seed(1)
        with imported(folder, model) as built:
            try:
                compile_anew(load_spec(spec_of(built, model)), built())
            except SpecError as error:
                code = error.diagnostics[0].code
        found.append((model, code))
    return Survey(found)


def test_most_random_forwards_compile(survey: Survey) -> None:
    """What is mostly refused (what blocks change in place, or leave on the model) is drawn seldom, to this end."""
    refused = Counter(code for _, code in survey.models if code is not None)
    assert refused.total() <= (1 - LEAST_COMPILED) * SEEDED, refused


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_statement_is_drawn_and_compiles(kind: str, survey: Survey) -> None:
    """Mutation: `choices`, or a loop's form, leaves the kind out."""
    least, share = KINDS[kind]
    outcomes = survey.with_kind(kind)
    assert len(outcomes) >= least
    assert outcomes.count(None) >= share * len(outcomes), Counter(outcomes)


def test_a_reused_step_is_judged_for_nearly_all_that_compile(survey: Survey) -> None:
    """Mutation: `end_blocks` takes whatever the blocks make for something made of the call as well."""
    compiled = survey.compiled
    judged = [model for model in compiled if model.repeatable]
    elsewhere = [model for model in judged if TIME in model.anew]
    everything = [model for model in judged if model.anew == {TIME, LATENTS}]
    assert len(judged) >= LEAST_JUDGED * len(compiled)
    assert len(elsewhere) >= LEAST_JUDGED_AT_ANOTHER_TIME * len(compiled)
    assert len(everything) >= LEAST_JUDGED_WITH_ALL_ANEW * len(compiled)
