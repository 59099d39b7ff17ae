"""Whatever text comes: a spec, or diagnostics inside the text, in little time and memory. More with `-m thorough`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import diffusers
import pytest
import torch
from hypothesis import HealthCheck, event, given, seed, settings

from teaspec.authoring.schema import make_schema
from teaspec.compiler import Spec, SpecError, compile_spec, load_spec, to_json
from teaspec.compiler.forms.document import split_lines
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.build import build_module
from teaspec.proof.limits import little_memory
from tests.compiler.hostile import SPECS, broken, misled, structures, texts
from tests.json_schema import errors

SECONDS, BYTES = 2, 500 << 20
SCHEMA = make_schema()
FEW, MANY = 80, 1_800
FEW_COMPILED, MANY_COMPILED = 40, 1_000
PACKAGES = Path(diffusers.__file__).parents[1]
SMALL = ("flux", "dit", "sd3", "wan", "sana")


def bounded(case: Callable[[], Spec | None]) -> Spec | SpecError | None:
    """Runs a case; any exception but the one for mistakes, too much time or too much memory is an error."""
    start = time.process_time()
    try:
        with little_memory(BYTES):
            return case()
    except SpecError as error:
        return error
    finally:
        assert time.process_time() - start < SECONDS


@cache
def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")


def assert_places(error: SpecError, text: str, name: str) -> None:
    """Every place lies inside the text or the model's file, and is shown with the line that stands there."""
    lines = split_lines(text.removeprefix("\ufeff"))
    for diagnostic in error.diagnostics:
        assert diagnostic.labels[0].span.file == name
        for label in diagnostic.labels:
            span = label.span
            if span.file != name:
                assert label.line_text == lines_of(PACKAGES / span.file)[span.line - 1]
                continue
            assert 1 <= span.line <= span.end_line <= len(lines)
            assert 1 <= span.column <= len(lines[span.line - 1]) + 1
            assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1
            assert (span.line, span.column) <= (span.end_line, span.end_column)
            assert label.line_text == lines[span.line - 1]
    assert str(error) and to_json(error.diagnostics)


def assert_spec_or_diagnostics(text: str) -> None:
    text += "\n"  # a text, not a path
    found = bounded(lambda: load_spec(text))
    if isinstance(found, SpecError):
        event(found.diagnostics[0].code)
        assert_places(found, text, "<spec>")
    else:
        event("a spec")
        assert list(errors(found.document.data, SCHEMA, SCHEMA)) == []


def profile(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None)


KINDS = {"text": texts, "structure": structures(), "broken": broken()}


def tries(kind: str, count: int) -> None:
    seed(0)(profile(count)(given(KINDS[kind])(assert_spec_or_diagnostics)))()


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_read(kind: str) -> None:
    tries(kind, FEW)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_read_thousands_of_times(kind: str) -> None:
    tries(kind, MANY)


@cache
def module_of(name: str) -> torch.nn.Module:
    spec = load_spec(SPECS[name])
    return build_module(import_model(spec), dict(spec.probe.config), torch.float32, 0)


@cache
def words_of(name: str) -> tuple[str, ...]:
    """What somebody could take for a landmark: submodules, a block's submodules, and names of the forward."""
    module = module_of(name)
    inner = {part for path, _ in module.named_modules() for part in path.split(".") if not part.isdigit()}
    names = type(module).forward
    while hasattr(names, "__wrapped__"):
        names = names.__wrapped__
    return tuple(sorted(filter(None, {*inner, *names.__code__.co_varnames, "norm", "attention", "temb"})))


def compiles(name: str, text: str) -> None:
    found = bounded(lambda: load_spec(text))
    if isinstance(found, SpecError):
        event("not well-formed")
        return
    module, compiled = module_of(name), None

    def case() -> None:
        nonlocal compiled
        compiled = compile_spec(found, module)

    error = bounded(case)
    event("compiled" if error is None else error.diagnostics[0].code)
    if isinstance(error, SpecError):
        assert_places(error, text, "<spec>")
    else:
        assert compiled is not None and compile(compiled.source, "generated", "exec")


def tries_to_compile(name: str, count: int) -> None:
    def case(text: str) -> None:
        compiles(name, text + "\n")

    seed(0)(profile(count)(given(misled(name, words_of(name)))(case)))()


@pytest.mark.parametrize("name", SMALL[:2])
def test_whatever_is_compiled(name: str) -> None:
    tries_to_compile(name, FEW_COMPILED)


@pytest.mark.thorough
@pytest.mark.parametrize("name", SMALL)
def test_whatever_is_compiled_a_thousand_times(name: str) -> None:
    tries_to_compile(name, MANY_COMPILED)
