"""A traceback through generated code shows the generated line, and that line names the model's file and line."""

from __future__ import annotations

import linecache
import re
import traceback
from pathlib import Path
from typing import Any

import pytest

from teaspec.compiler.pipeline import compile_spec, load_spec
from tests.compiler.split import compute
from tests.toys import point_06_sinking, point_08_decorators, point_09_control
from tests.toys.shelf import GOOD
from tests.toys.toy import Call, Draw, Toy, draws

MODEL_LINE = re.compile(r"# (?P<file>[\w.]+\.py):(?P<line>\d+)$")


def _toy(build: type) -> Toy:
    return next(toy for toy in GOOD if toy.build is build)


def _frames(toy: Toy, call: Call) -> list[traceback.FrameSummary]:
    """The frames of the generated code in the traceback of a call that raises."""
    module = toy.module()
    extractor = compile_spec(load_spec(toy.spec), module)
    with pytest.raises(Exception) as caught:  # noqa: PT011: which one it is, is tested with the toys
        extractor.enter(module, call.args, call.kwargs, compute)
    frames = traceback.extract_tb(caught.tb)
    return [frame for frame in frames if frame.filename == extractor.enter.__func__.__code__.co_filename or "teaspec extractor" in frame.filename]


def _places() -> list[tuple[Toy, str, str]]:
    raising = _toy(point_09_control.EarlyRaise)
    return [
        (raising, "prelude", 'raise ValueError(f"no {fail} please")'),
        (raising, "blocks", "raise KeyError(fail) from None"),
        (raising, "postlude", "raise RuntimeError(fail, 3)"),
    ]


@pytest.mark.parametrize(("toy", "fail", "statement"), _places(), ids=[place[1] for place in _places()])
def test_the_generated_line_names_the_line_of_the_model(toy: Toy, fail: str, statement: str) -> None:
    draw = next(draws())
    generated = [frame for frame in _frames(toy, draw.single(fail=fail)) if "extractor" in frame.filename]
    assert generated
    _assert_names(generated[-1], Path(point_09_control.__file__), statement)


def _calls_of(draw: Draw) -> dict[str, Call]:
    return {
        "sunk": draw.dual(encoder_hidden_states=draw.tensor(draw.batch, 2, 5)),
        "multi-line": draw.dual(timestep=draw.tensor(draw.batch, 1, 1)),
    }


def test_a_statement_that_sank_names_its_line_too() -> None:
    toy = _toy(point_06_sinking.WarningStays)
    generated = _frames(toy, _calls_of(next(draws()))["sunk"])
    _assert_names(generated[-1], Path(point_06_sinking.__file__), "encoder_hidden_states = self.context_embedder(")


def test_behind_a_decorator_too() -> None:
    toy = _toy(point_08_decorators.NoGrad)
    draw = next(draws())
    generated = _frames(toy, draw.single(hidden_states=draw.tensor(draw.batch, 7, 4)))
    _assert_names(generated[-1], Path(point_08_decorators.__file__), "self.check(hidden_states)")


def _assert_names(frame: traceback.FrameSummary, file: Path, statement: str) -> None:
    assert frame.line
    assert frame.line == linecache.getline(frame.filename, frame.lineno or 0).strip()
    named = MODEL_LINE.search(frame.line)
    assert named is not None, frame.line
    assert named["file"] == file.name
    model_line = file.read_text(encoding="utf-8").splitlines()[int(named["line"]) - 1].strip()
    assert model_line.startswith(statement)
    assert frame.line.startswith(model_line.split("{")[0].split('"')[0])


def test_every_generated_statement_names_a_line_of_the_model() -> None:
    for toy in GOOD:
        if toy.may_refuse:
            continue
        source: Any = compile_spec(load_spec(toy.spec), toy.module()).source
        body = [line for line in source.splitlines() if line.startswith("    ") and not line.lstrip().startswith(('"""', "#"))]
        named = [line for line in body if MODEL_LINE.search(line)]
        assert len(named) > len(body) / 3, source
