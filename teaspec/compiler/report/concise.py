"""Diagnostics for editors and logs: one line each."""

from __future__ import annotations

from collections.abc import Iterable

from teaspec.compiler.report.cells import printable
from teaspec.compiler.report.diagnostic import Diagnostic


def render_concise(diagnostics: Iterable[Diagnostic]) -> str:
    """Renders each diagnostic on one line: `file:line:column: error[code]: message`.

    Args:
        diagnostics: In the order in which they should appear.

    Returns:
        The lines, without a line break at the end.
    """
    return "\n".join(_line(diagnostic) for diagnostic in diagnostics)


def _line(diagnostic: Diagnostic) -> str:
    span = diagnostic.labels[0].span
    place = f"{span.file}:{span.line}:{span.column}"
    return printable(f"{place}: {diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}")
