"""The document: a YAML text with the place of everything in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from teaspec.compiler.report import Label, Span

Key = str | int
Path = tuple[Key, ...]


@dataclass(frozen=True)
class Spans:
    """Where one value of a document stands.

    Attributes:
        value: Span of the value.
        key: Span of the key that holds it; for an item of a list, and for the document as a whole, that of the value.
    """

    value: Span
    key: Span


@dataclass(frozen=True)
class Document:
    r"""A YAML text as plain data, and where each part of it stands.

    A path is given as its keys: `document.span("blocks", "loops", 0)`.

    Attributes:
        name: The file name shown in messages.
        text: The text, with `\n` as line break.
        data: The top-level mapping: dicts, lists, strings, integers, floats, bools, None.
        spans: Path to spans; the empty path is the whole document.
    """

    name: str
    text: str
    data: dict[str, Any] = field(compare=False)
    spans: Mapping[Path, Spans] = field(repr=False, compare=False)

    def span(self, *path: Key) -> Span:
        """Returns the span of a value.

        Args:
            *path: Keys and indexes from the top.

        Raises:
            KeyError: The document has no such path.
        """
        return self.spans[path].value

    def key_span(self, *path: Key) -> Span:
        """Returns the span of the key that holds a value.

        Args:
            *path: Keys and indexes from the top, the key itself last.

        Raises:
            KeyError: The document has no such path.
        """
        return self.spans[path].key

    def nearest_path(self, *path: Key) -> Path:
        """Returns the longest beginning of a path that the document has.

        Args:
            *path: Keys and indexes from the top. The name of an input also finds its key with the trailing `?`.
        """
        present: Path = ()
        for key in path:
            spellings = [key, f"{key}?"]
            found = next((spelling for spelling in spellings if (*present, spelling) in self.spans), None)
            if found is None:
                break
            present = (*present, found)
        return present

    def label(self, text: str, *path: Key) -> Label:
        """Labels a value.

        Args:
            text: The remark.
            *path: The value. Where the document does not hold it (a default), its nearest parent is labelled: by its
                key, for its value would be all that the key holds.
        """
        present = self.nearest_path(*path)
        return self._label(text, self.span(*present) if len(present) == len(path) else self.key_span(*present))

    def key_label(self, text: str, *path: Key) -> Label:
        """Labels a key.

        Args:
            text: The remark.
            *path: The key last. Where the document does not hold it, its nearest parent's key is labelled.
        """
        return self._label(text, self.key_span(*self.nearest_path(*path)))

    def _label(self, text: str, span: Span) -> Label:
        return Label(span, text, self._lines[span.line - 1])

    @cached_property
    def _lines(self) -> list[str]:
        return split_lines(self.text)


def split_lines(text: str) -> list[str]:
    r"""Splits a text into lines as editors count them: at `\n`, `\r\n` and `\r`, and nowhere else.

    Args:
        text: Any text.

    Returns:
        At least one line, without the line breaks.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
