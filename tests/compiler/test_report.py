"""Diagnostics as data, as text and as JSON."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teaspec.compiler.report import (
    CODES,
    Diagnostic,
    Label,
    Span,
    SpecError,
    did_you_mean,
    nearest,
    render_concise,
    render_text,
    to_json,
)
from teaspec.compiler.report.cells import MAX_CELLS, lay_out, printable
from teaspec.compiler.report.codes import CHECK_CODES, READ_CODES
from teaspec.compiler.report.error import MAX_DIAGNOSTICS
from teaspec.compiler.report.model_codes import MODEL_CODES

DOCS = Path(__file__).parents[2] / "docs" / "diagnostics.md"
CODE = "wrong-type"


def label(
    line_text: str, column: int, end_column: int, text: str = "here", *, line: int = 1, file: str = "a.yaml"
) -> Label:
    return Label(Span(file, line, column, line, end_column), text, line_text)


def marked(line_text: str, column: int, end_column: int) -> tuple[str, str]:
    """Returns the excerpt, and the part of it that stands above the carets, cell by cell."""
    excerpt = lay_out(line_text, column, end_column)
    cells: list[str] = []
    for char in excerpt.text:
        if unicodedata.combining(char):
            cells[-1] += char
        else:
            cells += [char] + [""] * (unicodedata.east_asian_width(char) in "WF")
    return excerpt.text, "".join(cells[excerpt.start : excerpt.start + excerpt.width])


def test_text_has_title_places_carets_and_help() -> None:
    diagnostic = Diagnostic(
        "wrong-type",
        "no loop over `self.transfomer_blocks`",
        (
            label("  loops: [transfomer_blocks]", 11, 28, "named here", line=7, file="specs/qwen_image.yaml"),
            label("        for block in self.transformer_blocks:", 27, 45, "the only loop", line=992, file="qwen.py"),
        ),
        ("did you mean `transformer_blocks`?",),
    )
    assert render_text([diagnostic]) == "\n".join(
        [
            "error[wrong-type]: no loop over `self.transfomer_blocks`",
            "   --> specs/qwen_image.yaml:7:11",
            "    |",
            "  7 |   loops: [transfomer_blocks]",
            "    |           ^^^^^^^^^^^^^^^^^ named here",
            "   ::: qwen.py:992",
            "    |",
            "992 |         for block in self.transformer_blocks:",
            "    |                           ------------------ the only loop",
            "    = help: did you mean `transformer_blocks`?",
        ]
    )


def test_labels_of_one_file_share_a_snippet_in_line_order() -> None:
    second, first = label("norm: b", 1, 5, "again", line=9), label("norm: a", 1, 5, "first", line=4)
    adjacent = label("head: c", 1, 5, "next to it", line=5)
    assert render_text([Diagnostic(CODE, "twice", (second, first, adjacent))]).splitlines()[1:] == [
        " --> a.yaml:9:1",
        "  |",
        "4 | norm: a",
        "  | ---- first",
        "5 | head: c",
        "  | ---- next to it",
        "...",
        "9 | norm: b",
        "  | ^^^^ again",
    ]


def test_labels_of_one_line_show_it_once() -> None:
    text = render_text(
        [Diagnostic(CODE, "twice", (label("{a: 1, a: 2}", 8, 9, "again"), label("{a: 1, a: 2}", 2, 3, "first")))]
    )
    assert text.splitlines()[3:] == ["1 | {a: 1, a: 2}", "  |  - first", "  |        ^ again"]


def test_span_of_several_lines_is_marked_to_the_end_of_its_first() -> None:
    several = Label(Span("a.yaml", 3, 3, 5, 2), "", "  - a: 1")
    assert render_text([Diagnostic(CODE, "m", (several,))]).splitlines()[-1] == "  |   ^^^^^^"


def test_empty_span_is_marked_with_one_caret() -> None:
    assert render_text([Diagnostic(CODE, "m", (label("probe:", 7, 7, ""),))]).splitlines()[-1] == "  |       ^"


def test_diagnostics_are_an_empty_line_apart() -> None:
    one = Diagnostic(CODE, "m", (label("x", 1, 2),))
    assert render_text([one, one]) == f"{render_text([one])}\n\n{render_text([one])}"


def test_warning_says_so() -> None:
    assert render_text([Diagnostic(CODE, "m", (label("x", 1, 2),), severity="warning")]).startswith(
        f"warning[{CODE}]: m"
    )


def test_colour_changes_nothing_but_the_colour() -> None:
    diagnostics = [Diagnostic(CODE, "m", (label("abc", 2, 3), label("abc", 1, 2)), ("do this",))]
    coloured = render_text(diagnostics, colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_text(diagnostics)
    assert "\x1b[1;31merror[wrong-type]\x1b[0m" in coloured
    assert "\x1b[1;31m^ here\x1b[0m" in coloured
    assert all(line.count("\x1b[0m") == len(re.findall(r"\x1b\[1[0-9;]*m", line)) for line in coloured.splitlines())


@pytest.mark.parametrize(
    ("line", "stretch"),
    [
        ("\tloops: x", "loops"),
        ("a:\t\tloops", "loops"),
        ("文生图: loops", "loops"),
        ("loops: 文生图", "文生图"),
        ("caf\u0065\u0301: loops", "loops"),
        ("x\u200b\u200by: loops", "loops"),
    ],
)
def test_carets_stand_under_what_they_mean(line: str, stretch: str) -> None:
    column = line.index(stretch) + 1
    excerpt = lay_out(line, column, column + len(stretch))
    before = line[: column - 1].replace("\u200b", "").expandtabs(4)
    wide = sum(unicodedata.east_asian_width(char) == "W" for char in before)
    combining = sum(bool(unicodedata.combining(char)) for char in before)
    assert excerpt.start == len(before) + wide - combining
    assert excerpt.width == len(stretch) + sum(unicodedata.east_asian_width(char) == "W" for char in stretch)


@pytest.mark.parametrize("before", [0, 20, 100, 119, 120, 121, 400, 60_000])
@pytest.mark.parametrize("after", [0, 1, 50, 500, 60_000])
def test_long_lines_are_cut_around_the_stretch(before: int, after: int) -> None:
    shown, under = marked("a" * before + "HERE" + "b" * after, before + 1, before + 5)
    assert under == "HERE"
    assert len(shown) <= MAX_CELLS + 2 * len("...")


@pytest.mark.parametrize("filler", ["\t", "文", "\u0301", "\x07"])
def test_long_lines_of_odd_characters_are_cut_around_the_stretch(filler: str) -> None:
    excerpt = lay_out(filler * 5000 + "HERE" + filler * 5000, 5001, 5005)
    assert excerpt.text.count("HERE") == 1
    assert len(excerpt.text) < 1000


def test_stretch_longer_than_a_line_can_show_is_cut() -> None:
    excerpt = lay_out("a" * 5000, 1, 5001)
    assert (excerpt.start, excerpt.width) == (0, MAX_CELLS)
    assert excerpt.text.endswith("...")


@given(st.text(), st.integers(-3, 300), st.integers(-3, 300))
def test_any_line_can_be_laid_out(line: str, column: int, end_column: int) -> None:
    excerpt = lay_out(line, column, end_column)
    assert excerpt.start >= 0
    assert excerpt.width >= 1
    assert excerpt.text == printable(excerpt.text)


def test_line_breaks_and_escapes_in_messages_stay_visible() -> None:
    text = render_text([Diagnostic(CODE, "a\nb\x1b[2J\u202e", (label("x", 1, 2, "c\nd"),), ("e\tf",))])
    assert text.splitlines()[0] == r"error[wrong-type]: a\nb\x1b[2J\u202e"
    assert r"c\nd" in text
    assert r"e\tf" in text


def test_concise_is_one_line_each() -> None:
    error = Diagnostic(CODE, "a\nb\x1b[2J", (label("x", 1, 2), label("y", 1, 2)), ("help",))
    warning = Diagnostic(CODE, "m", (label("probe:", 7, 7, ""),), severity="warning")
    span = error.labels[0].span
    assert render_concise([error, warning]).split("\n") == [
        f"{span.file}:{span.line}:{span.column}: error[{CODE}]: a\\nb\\x1b[2J",
        f"{span.file}:{span.line}:7: warning[{CODE}]: m",
    ]
    assert render_concise([]) == ""


def test_error_sorts_by_position_and_renders_itself() -> None:
    last, first = (Diagnostic(CODE, name, (label("x", 1, 2, line=line),)) for name, line in (("b", 9), ("a", 2)))
    error = SpecError(iter([last, first]))
    assert error.diagnostics == (first, last)
    assert str(error) == render_text([first, last])


def test_error_keeps_the_first_mistakes_and_counts_the_rest() -> None:
    many = [Diagnostic(CODE, "m", (label("x" * 90, i, i + 1),)) for i in range(1, MAX_DIAGNOSTICS + 8)]
    error = SpecError(many)
    assert error.diagnostics[:-1] == tuple(many[:MAX_DIAGNOSTICS])
    assert error.diagnostics[-1].code == "too-many-mistakes"
    assert error.diagnostics[-1].message == "7 more mistakes are not shown"
    assert error.diagnostics[-1].labels[0].span == many[MAX_DIAGNOSTICS].labels[0].span
    assert len(SpecError(many[:MAX_DIAGNOSTICS]).diagnostics) == MAX_DIAGNOSTICS


def test_error_without_a_mistake_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SpecError([])


def test_unknown_code_is_refused() -> None:
    with pytest.raises(ValueError, match="'no-such-code' is not in the catalogue"):
        Diagnostic("no-such-code", "m", (label("x", 1, 2),))


def test_diagnostic_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no label"):
        Diagnostic(CODE, "m", ())


def test_json_holds_everything() -> None:
    diagnostic = Diagnostic(CODE, "m", (Label(Span("a.yaml", 1, 2, 3, 4), "here", "line"),), ("h",), "warning")
    place = {
        "file": "a.yaml",
        "line": 1,
        "column": 2,
        "end_line": 3,
        "end_column": 4,
        "text": "here",
        "line_text": "line",
    }
    expected = {"code": CODE, "severity": "warning", "message": "m", "labels": [place], "help": ["h"]}
    assert json.loads(json.dumps(to_json([diagnostic]))) == [expected]


@pytest.mark.parametrize(
    ("name", "candidates", "expected"),
    [
        ("transfomer_blocks", ["single_transformer_blocks", "transformer_blocks"], "transformer_blocks"),
        ("Norm_Out", ["norm_out", "proj_out"], "norm_out"),
        ("zebra", ["norm_out", "proj_out"], None),
        ("x", [], None),
        ("norm3", ["norm2", "norm1"], "norm1"),
        ("norm1", ["norm1", "norm2"], "norm2"),
        ("tok", ["tok", "zebra"], None),
    ],
)
def test_nearest(name: str, candidates: list[str], expected: str | None) -> None:
    """Mutation: `nearest` leaves the name among the candidates; then `tok` is offered for `tok`."""
    assert nearest(name, candidates) == expected
    assert nearest(name, reversed(candidates)) == expected
    assert did_you_mean(name, candidates) == ((f"did you mean `{expected}`?",) if expected else ())


def test_codes_are_words_and_belong_to_one_catalogue() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", code) for code in CODES)
    assert len(CODES) == len(READ_CODES) + len(CHECK_CODES) + len(MODEL_CODES)


def test_every_code_is_explained_in_one_sentence() -> None:
    assert all(re.fullmatch(r"[A-Z`].*[^.]\.", sentence) for sentence in CODES.values())


def test_every_code_has_a_section_in_the_docs_and_every_section_a_code() -> None:
    sections = re.split(r"^### ", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    explained = {section.split("\n", 1)[0].strip("`"): section for section in sections}
    assert explained.keys() == CODES.keys()
    assert len(explained) == len(sections)
    assert [code for code, sentence in CODES.items() if sentence not in explained[code]] == []
