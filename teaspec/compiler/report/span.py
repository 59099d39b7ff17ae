"""Where something stands in a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of text in a file.

    Lines and columns count from 1 and columns count characters, as editors do. `end_column` is exclusive, so an empty
    stretch has `end_column == column`.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class Label:
    """A span with a remark about it.

    Attributes:
        span: The place.
        text: The remark, a few words; may be empty.
        line_text: The source line at `span.line`, without its line break.
    """

    span: Span
    text: str
    line_text: str
