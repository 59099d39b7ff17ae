"""The terminal's view: complete and legible without colour, at any width."""

from __future__ import annotations

import io
import re
from functools import cache

import pytest
from rich.console import Console

from teaspec.compiler import compile_spec, load_spec
from teaspec.explain.explanation import explain
from teaspec.explain.terminal import TerminalView
from tests.explain.models import SPEC, Marked


@cache
def explanation():
    spec = load_spec(SPEC)
    return explain(spec, compile_spec(spec, Marked()))


def printed(width, *, beside=True, encoding="utf-8", **options):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False, **options)
    console.print(TerminalView(explanation(), beside=beside))
    file.flush()
    return file.buffer.getvalue().decode(encoding)


ROW = re.compile(r"^(?P<word>\D*?) *(?P<bars>[▌┊]*) +(?P<number>\d+) (?P<code>.*?) *$")


def rows(text):
    found = [match.groupdict() for line in text.splitlines() if (match := ROW.match(line))]
    return [row for row in found if row["number"] != "0"]


def test_each_line_with_its_parts_in_words():
    lines = list(explanation().forward.all_lines)
    shown = {int(row["number"]): row for row in rows(printed(160, beside=False))[-200:]}
    word = ""
    for line in lines:
        row = shown[line.number]
        word = row["word"] or (word if row["bars"] else "")  # the bars go on under a word
        assert word == " + ".join(part.word for part in line.parts), line
        assert row["bars"] == "".join("▌" if part.on_reuse else "┊" for part in line.parts)
        assert row["code"] == line.text.removeprefix("    ").rstrip()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_none_is_cut_off(width):
    text = printed(width)
    assert max(map(len, text.splitlines())) <= width
    if width >= 40:
        squeezed = re.sub(r"\W", "", "".join(row for row in text))
        for line in explanation().forward.all_lines:
            for name in re.findall(r"\w{12,}", line.text):
                assert name in squeezed, name


def test_landmarks_are_underlined_and_named():
    lines = printed(160, beside=False).splitlines()
    at = next(index for index, line in enumerate(lines) if "temb = self.time_embed(" in line)
    assert re.fullmatch(r".* +\^+ embed: time_embed -> temb *", lines[at + 1])
    first = lines[at + 1].index("^")
    assert lines[at][first:].startswith("self.time_embed(")
    coloured = printed(160, beside=False, force_terminal=True, color_system="standard")
    assert re.search(r"\x1b\[[\d;]*4[\d;]*m[^\x1b]*\.time_embed\(", coloured)


def test_the_cuts_say_what_crosses():
    text = printed(160, beside=False)
    begin, end = text.index("─── the blocks begin ───"), text.index("─── the blocks end ───")
    between = text[begin:end]
    assert "into the blocks: hidden_states, encoder_hidden_states, image, temb" in between
    assert "past them, to the postlude: scale, temb" in between
    behind = text[end:]
    assert "live, cached as a residual: image" in behind
    assert "live, carried over: spread" in behind
    assert "not read again, so not cached: text" in behind


def test_beside_each_other_where_there_is_room():
    wide, narrow = printed(200).splitlines(), printed(120).splitlines()
    signature = next(line for line in wide if "def forward(self" in line or "what decides" in line)
    assert "what decides" in signature and "Marked.forward" in signature
    assert all(not ("what decides" in line and "Marked.forward" in line) for line in narrow)


def test_colour_only_where_it_is_wanted():
    assert "\x1b[" not in printed(120)
    assert "\x1b[" in printed(120, force_terminal=True, color_system="standard")
    assert not re.search(r"\x1b\[[\d;]*3\d", printed(120, force_terminal=True, color_system="standard", no_color=True))


def test_a_terminal_of_ascii():
    text = printed(120, encoding="ascii")
    assert "| prelude" in text and ": sunk" in text and "--- the blocks begin ---" in text
