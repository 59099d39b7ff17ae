"""Source lines laid out in terminal cells, so that a caret stands under the character it means."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

TAB_STOP = 4
MAX_CELLS = 120
_CELLS_BEFORE = 30
_ELLIPSIS = "..."


@dataclass(frozen=True)
class Excerpt:
    """A printable piece of a source line with a marked stretch.

    Attributes:
        text: What to print.
        start: Cell of `text`, counted from 0, where the stretch begins.
        width: Cells the stretch takes, at least 1.
    """

    text: str
    start: int
    width: int


def printable(text: str) -> str:
    r"""Escapes what would break a one-line message: line breaks, tabs, control and direction characters.

    Args:
        text: Any text.

    Returns:
        The text with each such character written as Python would (`\n`, `\x1b`, `\u202e`).
    """
    return "".join(c.encode("unicode_escape").decode("ascii") if _is_disruptive(c) else c for c in text)


def lay_out(line: str, column: int, end_column: int) -> Excerpt:
    """Lays out one line around a stretch of it.

    Tabs become spaces, control characters become a replacement character, and a line wider than `MAX_CELLS` is cut so
    that the beginning of the stretch stays visible.

    Args:
        line: The source line without its line break.
        column: First character of the stretch, counted from 1; may be one past the end of the line.
        end_column: One past its last character.

    Returns:
        The excerpt; its stretch is cut, too, where it reaches beyond the piece shown.
    """
    first = min(max(column - 1, 0), len(line))
    last = min(max(end_column - 1, first), len(line))
    begin = 0
    shown, offsets = _cells_from(line, begin)
    if last >= len(offsets) and len(offsets) <= len(line):
        begin = _begin_before(line, first)
        shown, offsets = _cells_from(line, begin)
    prefix = _ELLIPSIS if begin > 0 else ""
    suffix = _ELLIPSIS if begin + len(offsets) <= len(line) else ""
    start = offsets[first - begin]
    end = offsets[min(last - begin, len(offsets) - 1)]
    return Excerpt(prefix + shown + suffix, len(prefix) + start, max(1, end - start))


def _begin_before(line: str, first: int) -> int:
    """Returns where a piece must begin to show what stands closely before `first`."""
    begin, cells = first, 0
    while begin > 0 and first - begin < _CELLS_BEFORE:
        cells += TAB_STOP if line[begin - 1] == "\t" else _width(line[begin - 1])
        if cells > _CELLS_BEFORE:
            break
        begin -= 1
    return begin


def _cells_from(line: str, begin: int) -> tuple[str, list[int]]:
    """Returns the printable text from `begin` on, and the cell at which each of its characters starts, then its end."""
    shown: list[str] = []
    offsets = [0]
    for char in line[begin : begin + 4 * MAX_CELLS]:  # characters of no width must not make the piece endless
        if char == "\t":
            width = TAB_STOP - offsets[-1] % TAB_STOP
            piece = " " * width
        elif _is_disruptive(char):
            width, piece = 1, "\ufffd"
        else:
            width, piece = _width(char), char
        if offsets[-1] + width > MAX_CELLS:
            break
        shown.append(piece)
        offsets.append(offsets[-1] + width)
    return "".join(shown), offsets


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _is_disruptive(char: str) -> bool:
    if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
        return True
    return "\u202a" <= char <= "\u202e" or "\u2066" <= char <= "\u2069" or char == "\ufeff"
