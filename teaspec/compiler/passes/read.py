"""read: YAML text -> document.

Takes the part of YAML that a spec needs and refuses the rest with a message: no anchors, tags, merge keys or
directives, one document, text keys, each once. Numbers follow the core schema of YAML 1.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)

from teaspec.compiler.forms.document import Document, Path, Spans
from teaspec.compiler.report import Diagnostic, Label, Span, SpecError
from teaspec.compiler.yaml12.events import MalformedError, offsets, parse_events
from teaspec.compiler.yaml12.positions import Positions
from teaspec.compiler.yaml12.problems import explain
from teaspec.compiler.yaml12.scalars import NumberOutOfRangeError, resolve

MAX_CHARACTERS = 32_768
MAX_SCALAR_CHARACTERS = 2_000
MAX_DEPTH = 24

MAX_BYTES = 4 * MAX_CHARACTERS + 4
"""What holds more characters than a spec may have, in whichever way they are encoded."""

# What is not tab, line feed or text. Next line and the two separators are text to Python but line breaks to YAML 1.1,
# and what sets the writing direction makes a line look different from what it says.
_NOT_TEXT = re.compile(
    r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)

_UNDECODED = range(0xDC80, 0xDD00)  # how Python's `surrogateescape` hands over bytes that are not UTF-8


def read(text: str, name: str) -> Document:
    r"""Reads a spec's text.

    Args:
        text: The YAML. A byte order mark at its beginning is dropped; `\r\n` and `\r` become `\n`.
        name: The file name for messages.

    Returns:
        The document.

    Raises:
        SpecError: The text is not YAML, or uses a part of YAML that a spec does not have.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    reader = _Reader(text, name)
    data = reader.read()
    return Document(name, text, data, reader.spans)


@dataclass
class _Open:
    """A collection whose end has not been read yet."""

    value: dict[str, Any] | list[Any]
    path: Path
    start: int
    end: int
    is_flow: bool
    pending: tuple[str, Span] | None = None
    keys: dict[str, Span] = field(default_factory=dict)

    @property
    def awaits_key(self) -> bool:
        return isinstance(self.value, dict) and self.pending is None


class _UnreadableError(Exception):
    """What follows cannot be understood any more; the mistake is already noted."""


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self.spans: dict[Path, Spans] = {}
        self._text = text
        self._positions = Positions(text, name)
        self._mistakes: list[Diagnostic] = []
        self._open: list[_Open] = []
        self._documents = 0
        self._data: Any = None

    def read(self) -> dict[str, Any]:
        try:
            self._refuse_what_is_not_text()
            for event in parse_events(self._text):
                self._take(event)
            self._refuse_all_but_a_mapping()
        except MalformedError as error:
            self._note_malformed(error)
        except _UnreadableError:
            pass
        if self._mistakes:
            raise SpecError(self._mistakes)
        data: dict[str, Any] = self._data
        return data

    def _refuse_what_is_not_text(self) -> None:
        if len(self._text) > MAX_CHARACTERS:
            message = f"the spec has more than {MAX_CHARACTERS} characters, and a longer one is not read"
            self._stop("spec-too-large", message, self._positions.first_line(), "")
        for match in _NOT_TEXT.finditer(self._text):
            number = ord(match[0])
            message = f"the character U+{number:04X} is not text that can be seen"
            if number in _UNDECODED:
                message = f"the byte 0x{number - 0xDC00:02X} is not part of any character of UTF-8"
            self._note("control-character", message, self._positions.span(*match.span()), "this character")
        if self._mistakes:
            raise _UnreadableError

    def _refuse_all_but_a_mapping(self) -> None:
        if self._data is None:
            span = self._positions.first_line()
            self._note("empty-spec", "the spec is empty", span, "no key stands here", "a spec begins with `teaspec: 1`")
        elif not isinstance(self._data, dict):
            self._note("not-a-mapping", "a spec is a mapping of keys to values", self.spans[()].value, "found this")

    def _take(self, event: Event) -> None:
        if isinstance(event, DocumentStartEvent):
            self._begin_document(event)
        elif isinstance(event, CollectionEndEvent):
            self._close(event)
        elif isinstance(event, AliasEvent):
            self._note("alias-or-anchor", "a spec has no aliases", self._span(event), "here", "write the value out")
            self._put(None, *offsets(event))
        elif isinstance(event, CollectionStartEvent | ScalarEvent):
            self._refuse_properties(event)
            if isinstance(event, ScalarEvent):
                self._scalar(event)
            else:
                self._begin(event)

    def _begin_document(self, event: DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop("several-documents", "a spec is one YAML document", self._span(event), "another one begins here")
        if event.version or event.tags:
            message, span = "a spec has no YAML directives", self._positions.first_line()
            self._note("yaml-directive", message, span, "this line", "leave out the lines that begin with `%`")

    def _refuse_properties(self, event: CollectionStartEvent | ScalarEvent) -> None:
        if event.anchor is not None:
            message, help_line = f"a spec has no anchors such as `&{event.anchor}`", "leave the anchor out"
            self._note("alias-or-anchor", message, self._span(event), "here", help_line)
        if event.tag is not None:
            message = f"a spec has no YAML tags such as `{event.tag.replace('tag:yaml.org,2002:', '!!')}`"
            self._note("yaml-tag", message, self._span(event), "here", "leave the tag out")

    def _begin(self, event: CollectionStartEvent) -> None:
        if self._open and self._open[-1].awaits_key:
            self._stop("non-string-key", "a key is a text, not a collection", self._span(event), "this key")
        if len(self._open) >= MAX_DEPTH:
            message = f"lists and mappings are nested deeper than {MAX_DEPTH}"
            self._stop("nested-too-deeply", message, self._span(event), "here")
        path, _ = self._next_place()
        value: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
        self._open.append(_Open(value, path, *offsets(event), bool(event.flow_style)))

    def _close(self, event: Event) -> None:
        closed = self._open.pop()
        # PyYAML notices the end of a block collection only where the next thing begins.
        end = offsets(event)[1] if closed.is_flow else closed.end
        self._put(closed.value, closed.start, end)

    def _scalar(self, event: ScalarEvent) -> None:
        span = self._span(event)
        value: Any = event.value
        is_plain = event.implicit[0]
        if len(event.value) > MAX_SCALAR_CHARACTERS:
            message = f"a value has {len(event.value)} characters; at most {MAX_SCALAR_CHARACTERS} are read"
            self._note("scalar-too-long", message, span, "this value")
        elif (hidden := _NOT_TEXT.search(event.value)) is not None:
            message = f"this text holds an escape for U+{ord(hidden[0]):04X}, which is not text that can be seen"
            self._note("control-character", message, span, "in this text")
        elif is_plain:
            try:
                value = resolve(event.value)
            except NumberOutOfRangeError:
                self._note("number-out-of-range", "the number does not fit into 64 bits", span, "this number")
        if self._open and self._open[-1].awaits_key:
            self._key(self._open[-1], event, value, is_plain)
        else:
            self._put(value, *offsets(event))

    def _key(self, holder: _Open, event: ScalarEvent, value: object, is_plain: bool) -> None:
        key, span = str(event.value), self._span(event)
        if key == "<<" and is_plain:
            self._note("merge-key", "a spec has no merge keys", span, "this key", "write the keys out")
        elif not isinstance(value, str) and event.anchor is None and event.tag is None:
            message = f"a key is a text, and `{key}` is not" if key else "a key is missing before the `:`"
            self._note("non-string-key", message, span, "here", *([f'write it in quotes: "{key}"'] if key else []))
        elif key in holder.keys:
            first = self._positions.label(holder.keys[key], "first given here")
            self._note("duplicate-key", f"the key `{key}` is given twice", span, "given again here", other=first)
        holder.keys.setdefault(key, span)
        holder.pending = (key, span)
        holder.end = offsets(event)[1]

    def _put(self, value: object, start: int, end: int) -> None:
        """Gives a finished value to the collection that is open, or to the document."""
        path, key_span = self._next_place()
        span = self._positions.span(start, end)
        if not self._open:
            self._data = value
        else:
            holder = self._open[-1]
            holder.end = end
            if isinstance(holder.value, list):
                holder.value.append(value)
            elif holder.pending is None:
                holder.pending = ("*", span)  # an alias in place of a key, which is noted already
                return
            else:
                holder.value[holder.pending[0]] = value
                holder.pending = None
        self.spans[path] = Spans(span, key_span or span)

    def _next_place(self) -> tuple[Path, Span | None]:
        if not self._open:
            return (), None
        holder = self._open[-1]
        if isinstance(holder.value, list):
            return (*holder.path, len(holder.value)), None
        key, span = holder.pending or ("*", None)
        return (*holder.path, key), span

    def _span(self, event: Event) -> Span:
        return self._positions.span(*offsets(event))

    def _note_malformed(self, error: MalformedError) -> None:
        complaint = explain(error)
        span = self._positions.span_at(*error.position)
        began = self._positions.span_at(*(error.context_position or error.position))
        message = complaint.about(self._positions.text_at(span))
        if not complaint.here:
            self._note(complaint.code, message, began, complaint.began, *complaint.help)
        else:
            other = self._positions.label(began, complaint.began) if complaint.began else None
            self._note(complaint.code, message, span, complaint.here, *complaint.help, other=other)

    def _stop(self, code: str, message: str, span: Span, here: str) -> NoReturn:
        self._note(code, message, span, here)
        raise _UnreadableError

    def _note(
        self, code: str, message: str, span: Span, here: str, *help_lines: str, other: Label | None = None
    ) -> None:
        labels = (self._positions.label(span, here), *([other] if other is not None else []))
        self._mistakes.append(Diagnostic(code, message, labels, help_lines))
