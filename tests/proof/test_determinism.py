"""The second interpreter, and what is said where its source differs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teaspec.compiler import compile_spec, load_spec
from teaspec.proof.determinism import FreshInterpreter, prove_deterministic, sources
from teaspec.proof.subject import Subject
from tests.proof.small import SPEC, SmallTransformer


@pytest.fixture(scope="module")
def interpreter():
    with FreshInterpreter() as other:
        yield other


@pytest.fixture(scope="module")
def here():
    return sources(Subject(load_spec(SPEC), SmallTransformer, compile_spec))


def test_one_source_for_each_alternative(here):
    assert len(here) == 2
    assert all("def run_blocks(" in source for source in here)


def test_the_same_source_twice(interpreter, here):
    for _ in range(2):
        result = prove_deterministic(here, interpreter, interpreter.request(load_spec(SPEC), ["tests"]))
        assert result.passed, result.message
        assert (result.name, result.examples) == ("deterministic", 1)


def test_another_source_is_shown_line_by_line(interpreter, here):
    changed = [here[0], here[1].replace("def run_blocks(self", "def run_blocks(myself", 1)]
    result = prove_deterministic(changed, interpreter, interpreter.request(load_spec(SPEC), ["tests"]))
    assert not result.passed
    first, mine, other = result.message.splitlines()
    assert first == "the source differs for case 1:"
    assert "here:  def run_blocks(myself" in mine and "there: def run_blocks(self" in other
    longer = [here[0] + "x = 1\n", here[1]]
    result = prove_deterministic(longer, interpreter, interpreter.request(load_spec(SPEC), ["tests"]))
    assert "here:  x = 1" in result.message and "there: (no such line)" in result.message


def test_a_failure_of_the_other_interpreter(interpreter, here):
    spec = load_spec(SPEC.replace(":SmallTransformer", ":NoSuchTransformer"))
    result = prove_deterministic(here, interpreter, interpreter.request(spec, ["tests"]))
    assert not result.passed
    assert "the second compilation failed" in result.message and "NoSuchTransformer" in result.message
    # and it goes on
    assert prove_deterministic(here, interpreter, interpreter.request(load_spec(SPEC), ["tests"])).passed


def test_an_interpreter_that_ends(monkeypatch, here):
    monkeypatch.setattr("teaspec.proof.determinism._CHILD", "import sys; sys.exit('no memory left')")
    with FreshInterpreter() as other:
        result = prove_deterministic(here, other, other.request(load_spec(SPEC), ["tests"]))
    assert not result.passed
    assert result.message == "the second interpreter ended with code 1:\nno memory left"


def test_nothing_is_left_behind():
    with FreshInterpreter() as other:
        answer = other.request(load_spec(SPEC), ["tests"])
        process = other._process
        assert answer.parent.is_dir()
    assert not answer.parent.exists()
    assert process is not None and process.poll() is not None


@pytest.mark.parametrize("own", ["1", "random", None])
def test_the_hash_seed_is_another(monkeypatch, tmp_path, own):
    if own is None:
        monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    else:
        monkeypatch.setenv("PYTHONHASHSEED", own)
    seen = tmp_path / "seen"
    code = f"import os, pathlib; pathlib.Path({str(seen)!r}).write_text(os.environ['PYTHONHASHSEED'])"
    monkeypatch.setattr("teaspec.proof.determinism._CHILD", code)
    with FreshInterpreter() as other:
        other.request(load_spec(SPEC), ["tests"])
        assert other._process is not None
        other._process.wait(60)
    assert seen.read_text() not in {own, "random", ""}
    assert os.environ.get("PYTHONHASHSEED") == own
    assert isinstance(seen, Path)
