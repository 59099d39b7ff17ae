"""One mistake, as data. How it looks on a terminal or in JSON is decided elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from teaspec.compiler.report.codes import CODES
from teaspec.compiler.report.span import Label

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Diagnostic:
    """What was found, what was expected, and where.

    Attributes:
        code: A key of `CODES`.
        message: One sentence.
        labels: The places; the first one is in the YAML.
        help: What to do about it, each one line.
        severity: Whether the spec can be used nevertheless.

    Raises:
        ValueError: The code is not in the catalogue, or no label was given. Both are bugs in the compiler.
    """

    code: str
    message: str
    labels: tuple[Label, ...]
    help: tuple[str, ...] = ()
    severity: Severity = "error"

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"diagnostic code {self.code!r} is not in the catalogue teaspec/compiler/report/codes.py")
        if not self.labels:
            raise ValueError(f"a diagnostic points at a place, but {self.code!r} was given no label")
