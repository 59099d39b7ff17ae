"""Diagnostics: places, mistakes, their forms as text, as lines and as JSON."""

from __future__ import annotations

from teaspec.compiler.report.codes import CODES
from teaspec.compiler.report.concise import render_concise
from teaspec.compiler.report.diagnostic import Diagnostic, Severity
from teaspec.compiler.report.error import SpecError
from teaspec.compiler.report.json_form import to_json
from teaspec.compiler.report.nearest import did_you_mean, nearest, what_there_is
from teaspec.compiler.report.span import Label, Span
from teaspec.compiler.report.text import render_text

__all__ = [
    "CODES",
    "Diagnostic",
    "Label",
    "Severity",
    "Span",
    "SpecError",
    "did_you_mean",
    "nearest",
    "render_concise",
    "render_text",
    "to_json",
    "what_there_is",
]
