"""Diagnostics for people."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from teaspec.compiler.report.cells import lay_out, printable
from teaspec.compiler.report.diagnostic import Diagnostic
from teaspec.compiler.report.span import Label

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_BLUE = "\x1b[1;34m"
_SEVERITY_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m"}


def render_text(diagnostics: Iterable[Diagnostic], *, colour: bool = False) -> str:
    """Renders diagnostics with source lines and carets.

    Args:
        diagnostics: In the order in which they should appear.
        colour: Whether to use ANSI colours.

    Returns:
        The text, without a line break at its end; diagnostics are an empty line apart.
    """
    return "\n\n".join("\n".join(_Renderer(diagnostic, colour).lines()) for diagnostic in diagnostics)


class _Renderer:
    def __init__(self, diagnostic: Diagnostic, colour: bool) -> None:
        self._diagnostic = diagnostic
        self._colour = colour
        self._primary = diagnostic.labels[0]
        self._gutter = max(len(str(label.span.line)) for label in diagnostic.labels)

    def lines(self) -> list[str]:
        diagnostic = self._diagnostic
        title = self._paint(f"{diagnostic.severity}[{diagnostic.code}]", _SEVERITY_COLOURS[diagnostic.severity])
        lines = [title + self._paint(f": {printable(diagnostic.message)}", _BOLD)]
        for file, labels in groupby(diagnostic.labels, key=lambda label: label.span.file):
            lines += self._snippet(file, list(labels))
        margin = " " * self._gutter + self._paint(" = ", _BLUE)
        lines += [f"{margin}{self._paint('help', _BOLD)}: {printable(line)}" for line in diagnostic.help]
        return lines

    def _snippet(self, file: str, labels: list[Label]) -> list[str]:
        span = labels[0].span
        if labels[0] is self._primary:
            arrow, place = "--> ", f"{file}:{span.line}:{span.column}"
        else:
            arrow, place = "::: ", f"{file}:{span.line}"
        lines = [" " * self._gutter + self._paint(arrow, _BLUE) + printable(place), self._margin()]
        line_before = None
        for line, on_line in groupby(sorted(labels, key=lambda label: label.span), key=lambda label: label.span.line):
            if line_before is not None and line > line_before + 1:
                lines.append(self._paint("...", _BLUE))
            lines += self._source_line(list(on_line))
            line_before = line
        return lines

    def _source_line(self, labels: list[Label]) -> list[str]:
        """Returns the source line with one underlining per label, each over its own excerpt where the line is long."""
        lines: list[str] = []
        shown_before = None
        for label in labels:
            span = label.span
            end_column = span.end_column if span.end_line == span.line else len(label.line_text) + 1
            excerpt = lay_out(label.line_text, span.column, end_column)
            if excerpt.text != shown_before:
                number = self._paint(f"{span.line:>{self._gutter}} |", _BLUE)
                lines.append(f"{number} {excerpt.text}".rstrip())
                shown_before = excerpt.text
            is_primary = label is self._primary
            mark = ("^" if is_primary else "-") * excerpt.width
            tint = _SEVERITY_COLOURS[self._diagnostic.severity] if is_primary else _BLUE
            underlining = self._paint(f"{mark} {printable(label.text)}".rstrip(), tint)
            lines.append(f"{self._margin()} {' ' * excerpt.start}{underlining}")
        return lines

    def _margin(self) -> str:
        return self._paint(" " * self._gutter + " |", _BLUE)

    def _paint(self, text: str, tint: str) -> str:
        return f"{tint}{text}{_RESET}" if self._colour else text
