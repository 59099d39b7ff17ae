"""read: YAML text -> document."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teaspec.compiler.forms.document import Document, split_lines
from teaspec.compiler.passes.read import MAX_CHARACTERS, MAX_DEPTH, MAX_SCALAR_CHARACTERS, read
from teaspec.compiler.report import Span, SpecError, render_text

TEXT = """\
# a remark
teaspec: 1
blocks:
    style:   dual   # two streams
    loops:
    - first
    - "second"

# between two keys
teacache: {coefficients: [1, -2.5], note: 'it''s'}
note: |
  two
  lines

probe:
  inputs: {x?: [batch, 4], "y?": {dim: n}}
  empty:
""".replace('"second"', '"second"   ')


def cut(document: Document, span: Span) -> str:
    """Returns the text of a span."""
    lines = split_lines(document.text)
    if span.line == span.end_line:
        return lines[span.line - 1][span.column - 1 : span.end_column - 1]
    first, *middle, last = lines[span.line - 1 : span.end_line]
    return "\n".join([first[span.column - 1 :], *middle, last[: span.end_column - 1]])


def value_of(plain: str) -> Any:
    return read(f"key: {plain}\n", "a.yaml").data["key"]


def refused(text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        read(text, "a.yaml")
    return caught.value


def test_data_is_plain() -> None:
    assert read(TEXT, "a.yaml").data == {
        "teaspec": 1,
        "blocks": {"style": "dual", "loops": ["first", "second"]},
        "teacache": {"coefficients": [1, -2.5], "note": "it's"},
        "note": "two\nlines\n",
        "probe": {"inputs": {"x?": ["batch", 4], "y?": {"dim": "n"}}, "empty": None},
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("teaspec",), "1"),
        (("blocks", "style"), "dual"),
        (("blocks", "loops"), '- first\n    - "second"'),
        (("blocks", "loops", 0), "first"),
        (("blocks", "loops", 1), '"second"'),
        (("blocks",), 'style:   dual   # two streams\n    loops:\n    - first\n    - "second"'),
        (("teacache",), "{coefficients: [1, -2.5], note: 'it''s'}"),
        (("teacache", "coefficients"), "[1, -2.5]"),
        (("teacache", "coefficients", 1), "-2.5"),
        (("teacache", "note"), "'it''s'"),
        (("note",), "|\n  two\n  lines"),
        (("probe", "inputs", "x?"), "[batch, 4]"),
        (("probe", "inputs", "x?", 0), "batch"),
        (("probe", "inputs", "y?"), "{dim: n}"),
        (("probe", "inputs", "y?", "dim"), "n"),
        (("probe", "empty"), ""),
        (("probe",), 'inputs: {x?: [batch, 4], "y?": {dim: n}}\n  empty:'),
        ((), TEXT.removeprefix("# a remark\n").rstrip()),
    ],
)
def test_span_of_every_value_is_exact(path: tuple[str | int, ...], text: str) -> None:
    document = read(TEXT, "a.yaml")
    assert cut(document, document.span(*path)) == text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("blocks",), "blocks"),
        (("blocks", "loops"), "loops"),
        (("blocks", "loops", 1), '"second"'),
        (("probe", "inputs", "x?"), "x?"),
        (("probe", "inputs", "y?"), '"y?"'),
        (("probe", "empty"), "empty"),
    ],
)
def test_span_of_every_key_is_exact(path: tuple[str | int, ...], text: str) -> None:
    document = read(TEXT, "a.yaml")
    assert cut(document, document.key_span(*path)) == text


def test_spans_count_from_one_and_name_the_file() -> None:
    assert read(TEXT, "specs/a.yaml").span("blocks", "style") == Span("specs/a.yaml", 4, 14, 4, 18)


def test_unknown_path_has_no_span() -> None:
    with pytest.raises(KeyError):
        read(TEXT, "a.yaml").span("blocks", "loops", 2)


@pytest.mark.parametrize(
    ("path", "marked"),
    [
        (("blocks", "style"), "dual"),
        (("blocks", "loops", 7), "loops"),
        (("streams", "hidden"), TEXT.removeprefix("# a remark\n").rstrip()),
        (("probe", "inputs", "x"), "[batch, 4]"),
        (("probe", "inputs", "x", "range"), "x?"),
        (("probe", "inputs", "z"), "inputs"),
    ],
)
def test_label_falls_back_to_the_nearest_parent(path: tuple[str | int, ...], marked: str) -> None:
    document = read(TEXT, "a.yaml")
    label = document.label("here", *path)
    assert (cut(document, label.span), label.text) == (marked, "here")
    assert label.line_text == split_lines(document.text)[label.span.line - 1]


def test_key_label_marks_the_key() -> None:
    document = read(TEXT, "a.yaml")
    assert cut(document, document.key_label("", "blocks", "style").span) == "style"
    assert cut(document, document.key_label("", "blocks", "style", "more").span) == "style"


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_breaks_and_byte_order_mark_do_not_shift_positions(line_break: str, mark: str) -> None:
    document = read(mark + TEXT.replace("\n", line_break), "a.yaml")
    plain = read(TEXT, "a.yaml")
    assert (document.text, document.data, document.spans) == (plain.text, plain.data, plain.spans)


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("9223372036854775807", 2**63 - 1),
        ("4.98e02", 498.0),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.5", -0.5),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("0b11", "0b11"),
        ("-0x1F", "-0x1F"),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("''", ""),
        ("e3", "e3"),
        (".", "."),
        ("+", "+"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(plain: str, value: object) -> None:
    found = value_of(plain)
    assert (found, type(found)) == (value, type(value))


def test_infinite_numbers_parse() -> None:
    assert (value_of(".inf"), value_of("-.INF"), value_of("+.Inf")) == (math.inf, -math.inf, math.inf)
    assert math.isnan(value_of(".nan"))
    assert math.isnan(value_of(".NaN"))


@given(st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_numbers_that_python_writes_are_read_back(value: float) -> None:
    found = value_of(str(value))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: {x?: 1, y?: [2]}", {"a": {"x?": 1, "y?": [2]}}),
        ("a: {x y?: 1}", {"a": {"x y?": 1}}),
        ("a?: {'x?': 1}", {"a?": {"x?": 1}}),
        ("a: [{x?: 1}]", {"a": [{"x?": 1}]}),
        ("a: [x?, y?]", {"a": ["x?", "y?"]}),
    ],
)
def test_plain_texts_may_end_in_a_question_mark(text: str, data: object) -> None:
    assert read(text, "a.yaml").data == data


@pytest.mark.parametrize("text", ["a: {x ?: 1}", "a: {x?y: 1}"])
def test_question_mark_elsewhere_in_braces_is_refused(text: str) -> None:
    assert [d.code for d in refused(text).diagnostics] == ["yaml-syntax"]


def test_all_mistakes_of_the_text_are_reported_together_in_order() -> None:
    error = refused("a: !x 1\nb: &n 2\na: *n\n1: 3\n<<: {}\nc: 99999999999999999999\n")
    assert [(d.code, d.labels[0].span.line) for d in error.diagnostics] == [
        ("yaml-tag", 1),
        ("alias-or-anchor", 2),
        ("duplicate-key", 3),
        ("alias-or-anchor", 3),
        ("non-string-key", 4),
        ("merge-key", 5),
        ("number-out-of-range", 6),
    ]


def test_duplicate_key_shows_both_places() -> None:
    (diagnostic,) = refused("a: 1\nb: 2\na: 3\n").diagnostics
    assert [(label.span.line, label.text) for label in diagnostic.labels] == [
        (3, "given again here"),
        (1, "first given here"),
    ]


@pytest.mark.parametrize(
    ("text", "code"), [("&a: 1", "alias-or-anchor"), ("!a : 1", "yaml-tag"), ("*a : 1", "alias-or-anchor")]
)
def test_a_mark_in_place_of_a_key_is_one_mistake(text: str, code: str) -> None:
    assert [d.code for d in refused(text).diagnostics] == [code]


def test_mistakes_before_a_syntax_error_are_reported_with_it() -> None:
    assert [d.code for d in refused("a: 1\na: 2\nb: [\n").diagnostics] == ["duplicate-key", "yaml-syntax"]


@pytest.mark.parametrize("text", ["", "\n", "# remark", "---", "--- ~", "null"])
def test_nothing_is_not_a_spec(text: str) -> None:
    assert [d.code for d in refused(text).diagnostics] == ["empty-spec"]


def test_size_is_bounded() -> None:
    fits = "a: 1\n" + "#" * (MAX_CHARACTERS - 5)
    assert read(fits, "a.yaml").data == {"a": 1}
    error = refused(fits + "#")
    assert [d.code for d in error.diagnostics] == ["spec-too-large"]
    assert error.diagnostics[0].message == "the spec has more than 32768 characters, and a longer one is not read"


def test_scalars_are_bounded() -> None:
    assert len(value_of("x" * MAX_SCALAR_CHARACTERS)) == MAX_SCALAR_CHARACTERS
    assert [d.code for d in refused("a: " + "x" * (MAX_SCALAR_CHARACTERS + 1)).diagnostics] == ["scalar-too-long"]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("- ", "")])
def test_depth_is_bounded(opening: str, closing: str) -> None:
    fits = "a:\n  " + opening * (MAX_DEPTH - 1) + "x" + closing * (MAX_DEPTH - 1)
    assert read(fits, "a.yaml").data["a"] is not None
    too_deep = "a:\n  " + opening * MAX_DEPTH + "x" + closing * MAX_DEPTH
    assert [d.code for d in refused(too_deep).diagnostics] == ["nested-too-deeply"]


@pytest.mark.parametrize(
    "item", ["[", "{a: ", "- ", "? ", "!x ", "&a ", "*a ", "'", '"', "\t", "%Y 1\n", "---\n", "a\n", ",", ":"]
)
def test_hostile_repetition_ends_in_messages(item: str) -> None:
    refused("a: " + item * ((MAX_CHARACTERS - 3) // len(item)))
    refused(item * (MAX_CHARACTERS // len(item)))


def test_bytes_that_are_not_utf8_are_named() -> None:
    text = b"head: caf\xe9\n".decode("utf-8", errors="surrogateescape")
    (diagnostic,) = refused(text).diagnostics
    assert diagnostic.code == "control-character"
    assert diagnostic.message == "the byte 0xE9 is not part of any character of UTF-8"
    assert diagnostic.labels[0].span.column == 10
    render_text([diagnostic]).encode("utf-8")


@pytest.mark.parametrize(
    "char", ["\x00", "\x07", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\u2028", "\ud800", "\ufeff", "\u202e"]
)
def test_characters_that_are_not_text_are_refused_where_they_stand(char: str) -> None:
    (diagnostic,) = refused(f"a: 1\nb: x{char}y\n").diagnostics
    assert diagnostic.code == "control-character"
    assert (diagnostic.labels[0].span.line, diagnostic.labels[0].span.column) == (2, 5)
    assert f"U+{ord(char):04X}" in diagnostic.message


@pytest.mark.parametrize("escape", [r"\0", r"\x1b", r"\ud800", r"\u2028", r"\N"])
def test_escapes_for_what_is_not_text_are_refused(escape: str) -> None:
    assert [d.code for d in refused(f'a: "{escape}"').diagnostics] == ["control-character"]


def test_escapes_for_text_are_read() -> None:
    assert value_of(r'"a\tb\nc\u6587"') == "a\tb\nc\u6587"


@pytest.mark.parametrize("text", ["文: [图, 1]\n", "a: 🙂\n", "é: è\n"])
def test_text_beyond_ascii_is_read_with_columns_in_characters(text: str) -> None:
    document = read(text, "a.yaml")
    (key,) = document.data
    assert cut(document, document.key_span(key)) == key
    assert cut(document, document.span(key)) == text.partition(": ")[2].rstrip()


YAML_PIECES = st.sampled_from(
    [
        *"[]{},:?-&*!|>'\"%@`#\\~ab1 \n\t",
        ": ",
        "- ",
        "? ",
        "  ",
        "\n  ",
        "\n",
        "<<",
        "---\n",
        "...\n",
        "&a ",
        "*a",
        "!!x ",
        "|\n",
        "\\",
        "\r",
        "é",
        "文",
        "\x00",
    ]
)


@given(st.lists(YAML_PIECES, max_size=40).map("".join) | st.text())
def test_any_text_ends_in_a_document_or_in_messages(text: str) -> None:
    try:
        document = read(text, "a.yaml")
    except SpecError as error:
        lines = split_lines(text.removeprefix("\ufeff"))
        for diagnostic in error.diagnostics:
            for label in diagnostic.labels:
                assert_inside(label.span, lines)
                assert label.line_text == lines[label.span.line - 1]
        assert str(error).encode("utf-8")
    else:
        lines = split_lines(document.text)
        for spans in document.spans.values():
            assert_inside(spans.value, lines)
            assert_inside(spans.key, lines)


def assert_inside(span: Span, lines: list[str]) -> None:
    assert 1 <= span.line <= span.end_line <= len(lines)
    assert 1 <= span.column <= len(lines[span.line - 1]) + 1
    assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1
    assert (span.line, span.column) <= (span.end_line, span.end_column)
