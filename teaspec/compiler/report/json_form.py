"""Diagnostics for tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from teaspec.compiler.report.diagnostic import Diagnostic
from teaspec.compiler.report.span import Label


def to_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Turns diagnostics into plain data that `json.dumps` takes.

    Args:
        diagnostics: In the order in which they should appear.

    Returns:
        One dict per diagnostic with the keys `code`, `severity`, `message`, `labels` and `help`; a label has the keys
        `file`, `line`, `column`, `end_line`, `end_column`, `text` and `line_text`.
    """
    return [
        {
            "code": diagnostic.code,
            "severity": diagnostic.severity,
            "message": diagnostic.message,
            "labels": [_label(label) for label in diagnostic.labels],
            "help": list(diagnostic.help),
        }
        for diagnostic in diagnostics
    ]


def _label(label: Label) -> dict[str, Any]:
    span = label.span
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
        "text": label.text,
        "line_text": label.line_text,
    }
