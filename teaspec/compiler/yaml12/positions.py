"""Offsets in a text as lines and columns."""

from __future__ import annotations

import bisect

from teaspec.compiler.report import Label, Span


class Positions:
    """Knows where the lines of a text begin."""

    def __init__(self, text: str, name: str) -> None:
        r"""Finds the lines.

        Args:
            text: With `\n` as line break.
            name: The file name for spans.
        """
        self._text = text
        self._name = name
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines[:-1]:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def span(self, start: int, end: int) -> Span:
        """Returns the span between two offsets, without white space at its end.

        Args:
            start: Offset of the first character.
            end: Offset behind the last one.
        """
        end = start + len(self._text[start:end].rstrip())
        line, column = self._position(start)
        end_line, end_column = self._position(end)
        return Span(self._name, line, column, end_line, end_column)

    def span_at(self, line: int, column: int) -> Span:
        """Returns the span of one character, or an empty one behind the end of the line.

        Args:
            line: Counted from 1; a line behind the last one means the end of the text.
            column: Counted from 1.
        """
        if line > len(self._lines):
            line, column = len(self._lines), len(self._lines[-1]) + 1
        width = 1 if column <= len(self._lines[line - 1]) else 0
        return Span(self._name, line, column, line, column + width)

    def text_at(self, span: Span) -> str:
        """Returns what stands at a span of one line.

        Args:
            span: A span of this text.
        """
        return self._lines[span.line - 1][span.column - 1 : span.end_column - 1]

    def first_line(self) -> Span:
        """Returns the span of the first line."""
        return Span(self._name, 1, 1, 1, len(self._lines[0]) + 1)

    def label(self, span: Span, text: str) -> Label:
        """Labels a span.

        Args:
            span: A span of this text.
            text: The remark.
        """
        return Label(span, text, self._lines[span.line - 1])

    def _position(self, offset: int) -> tuple[int, int]:
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
