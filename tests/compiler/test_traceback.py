"""A traceback through generated code shows the generated line, and that line names the model's file and line."""

from __future__ import annotations

import ast
import linecache
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from teaspec.compiler.pipeline import compile_spec, load_spec
from tests.compiler.split import compute
from tests.toys import point_06_sinking, point_07_modulation, point_08_decorators, point_09_control
from tests.toys.shelf import GOOD
from tests.toys.toy import Call, Toy, draws

MODEL_LINE = re.compile(r"# (?P<file>[\w.]+\.py):(?P<line>\d+)$", re.MULTILINE)


def _toy(build: type) -> Toy:
    return next(toy for toy in GOOD if toy.build is build)


def _generated(toy: Toy, call: Call) -> list[traceback.FrameSummary]:
    """The frames of generated code in the traceback of a call that raises."""
    module = toy.module()
    extractor = compile_spec(load_spec(toy.spec), module)
    with pytest.raises(Exception) as caught:  # which one it is, is tested with the toys
        extractor.enter(module, call.args, call.kwargs, compute)
    lines = set(extractor.source.splitlines())
    return [frame for frame in traceback.extract_tb(caught.tb) if frame.line and _line_of(frame) in lines]


def _line_of(frame: traceback.FrameSummary) -> str:
    return linecache.getline(frame.filename, frame.lineno or 0).rstrip("\n")


def _assert_names(frame: traceback.FrameSummary, file: Path, statement: str) -> None:
    named = MODEL_LINE.search(_line_of(frame))
    assert named is not None, _line_of(frame)
    assert named["file"] == file.name
    model_line = file.read_text(encoding="utf-8").splitlines()[int(named["line"]) - 1].strip()
    assert model_line == statement


@pytest.mark.parametrize(
    ("fail", "statement"),
    [
        ("prelude", 'raise ValueError(f"no {fail} please")'),
        ("blocks", "raise KeyError(fail) from None"),
        ("postlude", "raise RuntimeError(fail, 3)"),
    ],
)
def test_the_generated_line_names_the_line_of_the_model(fail: str, statement: str) -> None:
    draw = next(draws())
    generated = _generated(_toy(point_09_control.EarlyRaise), draw.single(fail=fail))
    _assert_names(generated[-1], Path(point_09_control.__file__), statement)


def test_a_statement_that_sank_names_its_line_too() -> None:
    draw = next(draws())
    call = draw.dual(encoder_hidden_states=draw.tensor(draw.batch, 2, 5))
    generated = _generated(_toy(point_06_sinking.WarningStays), call)
    statement = "encoder_hidden_states = self.context_embedder(encoder_hidden_states)"
    _assert_names(generated[-1], Path(point_06_sinking.__file__), statement)


def test_behind_a_decorator_too() -> None:
    draw = next(draws())
    call = draw.single(hidden_states=draw.tensor(draw.batch, 7, 4))
    generated = _generated(_toy(point_08_decorators.NoGrad), call)
    _assert_names(generated[-1], Path(point_08_decorators.__file__), "self.check(hidden_states)")


def test_in_the_modulated_input_too() -> None:
    draw = next(draws())
    call = draw.single(index=torch.zeros(5, 1, 3))
    generated = _generated(_toy(point_07_modulation.NormKinds), call)
    statement = "norm_hidden_states = norm_hidden_states + index"
    _assert_names(generated[-1], Path(point_07_modulation.__file__), statement)


def test_a_call_with_wrong_arguments_reads_as_the_forwards() -> None:
    toy = _toy(point_06_sinking.WarningStays)
    module = toy.module()
    extractor = compile_spec(load_spec(toy.spec), module)
    messages = []
    for run in (lambda: module(frames=1), lambda: extractor.enter(module, (), {"frames": 1}, compute)):
        with pytest.raises(TypeError) as caught:
            run()
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def _statements(source: str) -> Iterator[tuple[ast.stmt, str]]:
    """The statements of generated functions, with the text of the lines they begin and end on."""
    lines = source.splitlines()
    for function in ast.parse(source).body:
        if isinstance(function, ast.FunctionDef) and not function.decorator_list:
            for node in ast.walk(function):
                if isinstance(node, ast.stmt) and node is not function and node is not function.body[0]:
                    yield node, lines[node.lineno - 1] + "\n" + lines[(node.end_lineno or node.lineno) - 1]


def test_every_statement_names_a_line_of_the_model() -> None:
    for toy in GOOD:
        if toy.may_refuse:
            continue
        extractor = compile_spec(load_spec(toy.spec), toy.module())
        for node, text in _statements(extractor.source):
            if ast.unparse(node).startswith(("return CacheContext", f"{extractor.program.names.signal} = ")):
                continue  # what the compiler adds
            named = MODEL_LINE.search(text)
            assert named is not None, f"{toy.name}: {text}"
            assert named["file"].startswith(("point_", "parts"))
