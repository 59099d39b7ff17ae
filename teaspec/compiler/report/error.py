"""The one exception with which the compiler reports mistakes in a spec."""

from __future__ import annotations

from collections.abc import Iterable

from teaspec.compiler.report.diagnostic import Diagnostic
from teaspec.compiler.report.span import Label
from teaspec.compiler.report.text import render_text

MAX_DIAGNOSTICS = 50


class SpecError(Exception):
    """The spec has mistakes; `str()` renders all of them as text.

    Attributes:
        diagnostics: The mistakes, sorted by position.
    """

    diagnostics: tuple[Diagnostic, ...]

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Sorts the diagnostics by position and keeps the first `MAX_DIAGNOSTICS`, with a note of how many follow.

        Args:
            diagnostics: At least one.

        Raises:
            ValueError: There is none, which is a bug in the compiler.
        """
        found = sorted(diagnostics, key=lambda d: (d.labels[0].span, d.code, d.message))
        if not found:
            raise ValueError("a SpecError needs at least one diagnostic")
        rest = found[MAX_DIAGNOSTICS:]
        if rest:
            found[MAX_DIAGNOSTICS:] = [_note(rest)]
        self.diagnostics = tuple(found)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return render_text(self.diagnostics)


def _note(rest: list[Diagnostic]) -> Diagnostic:
    first = rest[0].labels[0]
    label = Label(first.span, "the first of them", first.line_text)
    return Diagnostic("too-many-mistakes", f"{len(rest)} more mistakes are not shown", (label,))
