"""What the margin says of each statement, against models that say it themselves and against the generated text."""

from __future__ import annotations

import ast
import keyword
import re
from functools import cache
from pathlib import Path

import pytest

from teaspec.authoring.build import compile_for_probe
from teaspec.compiler import compile_spec, load_spec
from teaspec.explain.explanation import explain
from teaspec.explain.parts import BLOCKS, DROPPED, NORM, POSTLUDE, PRELUDE, SUNK
from tests.explain.models import SPEC, Between, Marked

SPECS = Path(__file__).parents[2] / "specs"
SOME = ("cosmos3_omni", "flux", "hidream_image", "latte", "longcat_audio_dit", "wan")
ALL = sorted(path.stem for path in SPECS.glob("*.yaml"))


@cache
def shipped(name):
    spec = load_spec(SPECS / f"{name}.yaml")
    return explain(spec, compile_for_probe(spec))


@cache
def of_model(model):
    style = "dual" if model is Marked else "single"
    spec = load_spec(SPEC.replace(":Marked", f":{model.__name__}").replace("style: dual", f"style: {style}"))
    return explain(spec, compile_spec(spec, model()))


def words(parts):
    return " + ".join(part.word for part in parts)


@pytest.mark.parametrize("model", [Marked, Between])
def test_the_margin_says_what_the_model_says(model):
    lines = list(of_model(model).forward.all_lines)
    said = {line.number: line.text.rpartition("  # ")[2] for line in lines if re.search(r"\S  # ", line.text)}
    assert len(said) > 8
    assert {line.number: words(line.parts) or "-" for line in lines if line.number in said} == said


def test_kinds_and_parts_of_lines_without_a_statement():
    forward = of_model(Marked).forward
    found = {line.text.strip(): (line.kind, words(line.parts)) for line in forward.all_lines}
    assert found["# about the next line"] == ("comment", "prelude")
    assert found["# about the next line, too"] == ("comment", "blocks + postlude")
    assert found["timestep"] == ("code", "prelude")
    assert found["else:"] == ("code", "postlude")
    assert found['"""Runs all blocks."""'] == ("docstring", "")
    blanks = {line.number - forward.first: words(line.parts) for line in forward.lines if line.kind == "blank"}
    assert blanks == {5: "prelude", 11: ""}  # one within a run, one between two


def test_the_counts():
    explanation = of_model(Marked)
    counts = {count.part: count.number for count in explanation.counts}
    assert counts == {PRELUDE: 4, SUNK: 2, NORM: 1, BLOCKS: 10, POSTLUDE: 7, DROPPED: 2}
    assert explanation.total == 21  # one of the prelude and the sunk, and of the norm slice and the blocks, is the same
    assert explanation.reused == 11  # three of the blocks are made again; the first turn of a loop is no loop
    assert explanation.sliced == 3


def test_what_crosses():
    crossing = of_model(Marked).crossing
    assert crossing.into_blocks == ("hidden_states", "encoder_hidden_states", "image", "temb")
    assert crossing.past_blocks == ("scale", "temb")
    assert [(value.name, value.kind) for value in crossing.live] == [
        ("image", "stream"), ("spread", "carried"),
    ]  # fmt: skip
    assert crossing.unread == "text"
    older = shipped("wan").crossing.into_blocks  # `rope` sank below what binds `hidden_states` anew
    assert "hidden_states" in older and not [name for name in older if re.search(r"_v\d+$", name)]


def test_the_block_shows_what_the_attention_is_given():
    (block,) = of_model(Marked).slices
    said = {line.number - block.first: (words(line.parts), line.notes) for line in block.lines if line.begins}
    both = "norm slice + blocks"
    note = "is given the modulated input: norm_hidden_states"
    assert said == {7: (both, ()), 8: (both, ()), 9: (both, (note,)), 10: ("blocks", ())}
    (mark,) = [mark for line in block.lines for mark in line.marks]
    assert (mark.role, mark.label) == ("norm", "transformer_blocks.0.norm1")
    line = block.lines[8].text
    assert line[mark.start : mark.end] == "self.norm1(hidden_states)"


def test_a_forward_that_hands_on_is_shown_too():
    explanation = shipped("anyflow_far")
    assert explanation.entry is not None and explanation.entry.title.endswith(".forward")
    assert {line.parts for line in explanation.entry.lines if line.begins} == {(PRELUDE,)}
    assert not explanation.forward.title.endswith(".forward")


def lines_behind(extractor):
    """For each generated function, the lines of the model behind its statements, and the statements' texts."""
    found = {}
    for function in ast.parse(extractor).body:
        if isinstance(function, ast.FunctionDef):
            text = extractor.splitlines()[function.lineno - 1 : function.end_lineno]
            named = [re.search(r"^ +(.*?)  # (\S+):(\d+)$", line) for line in text]
            found[function.name] = [(one[2], int(one[3]), one[1]) for one in named if one]
    return found


def is_made(text):
    """Whether the compiler made a statement: `x_v1 = x`, marks of unbound names, what blocks return."""
    if "UNBOUND" in text or text in ("try:", "except NameError:"):
        return True
    return re.fullmatch(r"\w+_v\d+ = \w+|del \w+|\w+", text) is not None and not keyword.iskeyword(text)


def check_against_the_generated_text(name):
    explanation = shipped(name)
    behind = lines_behind(explanation.extractor)
    begun = [line for line in explanation.forward.all_lines if line.begins and line.kind == "code"]
    (entered,) = {file for file, _, _ in behind["run_blocks"]}
    for function, parts in {
        "extract": {PRELUDE}, "run_blocks": {SUNK, BLOCKS}, "run_postlude": {POSTLUDE}
    }.items():  # fmt: skip
        generated = {line for file, line, text in behind[function] if not is_made(text)}
        shown = {line.number for line in begun if parts & set(line.parts)}
        # what a helper is given is assigned where it is called; its `return x` may assign nothing
        calls = {line.number for line in explanation.forward.all_lines if line.kind == "call"}
        assert generated - calls == shown, function
    sliced = {(file, line) for made, lines in behind.items() if made.startswith("modulated") for file, line, _ in lines}
    for listing in (explanation.forward, *explanation.slices):
        file = listing.file.rpartition("/")[2]
        shown = {(file, line.number) for line in listing.all_lines if line.begins and NORM in line.parts}
        assert shown <= sliced
    own = {
        (one.file.rpartition("/")[2], line.number)
        for one in explanation.slices
        for line in one.lines
        if NORM in line.parts
    }
    assert {place for place in sliced if place[0] != entered} <= own


@pytest.mark.parametrize("name", SOME)
def test_the_margin_agrees_with_the_generated_text(name):
    check_against_the_generated_text(name)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ALL)
def test_the_margin_agrees_with_the_generated_text_of_every_spec(name):
    check_against_the_generated_text(name)


@pytest.mark.parametrize("name", SOME)
def test_nothing_of_the_text_is_missing(name):
    explanation = shipped(name)
    for listing in explanation.listings:
        numbers = [line.number for line in listing.lines]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        code = [line for line in listing.all_lines if line.kind == "code" and line.begins]
        assert all(line.parts for line in code if not line.text.lstrip().startswith("return "))
    marked = [mark.label for listing in explanation.listings for line in listing.all_lines for mark in line.marks]
    expected = [one.label for one in explanation.landmarks if one.role != "norm" or explanation.signal_is_norm]
    assert sorted(marked) == sorted(expected)
