"""A function's text, each line with the parts that its statement goes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from teaspec.compiler.forms.landmarks import Landmark
from teaspec.compiler.forms.program import Start
from teaspec.compiler.forms.source import FunctionSource
from teaspec.explain.parts import BLOCKS, DROPPED, Part
from teaspec.explain.statements import FunctionText, SourceStatement, read_function

LineKind = Literal["code", "comment", "blank", "signature", "docstring", "call"]


@dataclass(frozen=True)
class Mark:
    """A landmark in a line.

    Attributes:
        start: Its first character, counted from 0.
        end: The character behind it.
        role: Which landmark it is.
        label: What the spec calls it.
    """

    start: int
    end: int
    role: str
    label: str


@dataclass(frozen=True)
class Line:
    """A source line with its margin: where its statement goes, and what is to be said about it.

    Attributes:
        number: Its number in the file.
        text: As the file has it, without the break at its end.
        kind: What stands there; `call` is the call of a helper that follows, written out.
        parts: Where its statement goes.
        begins: Whether a statement begins here.
        marks: The landmarks in it.
        notes: Remarks about it.
        helper: The helper that is called here and written out.
    """

    number: int
    text: str
    kind: LineKind
    parts: tuple[Part, ...] = ()
    begins: bool = False
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()
    helper: Listing | None = None

    @property
    def on_reuse(self) -> bool:
        """Whether a reused step executes what stands here."""
        return any(part.on_reuse for part in self.parts)


@dataclass(frozen=True)
class Listing:
    """A function's source with its margin.

    Attributes:
        title: Its name: `Model.forward`.
        file: Its file, as messages show it.
        lines: All its lines.
        counted: For each of its statements, those of its helpers included, the parts that it goes to and whether a
            reused step executes it.
    """

    title: str
    file: str
    lines: tuple[Line, ...]
    counted: tuple[tuple[tuple[Part, ...], bool], ...]

    @property
    def first(self) -> int:
        """The number of its first line."""
        return self.lines[0].number

    @property
    def all_lines(self) -> Iterator[Line]:
        """Its lines, each followed by those of the helper that it calls."""
        for line in self.lines:
            yield line
            if line.helper is not None:
                yield from line.helper.all_lines


Starts = Sequence[tuple[Part, frozenset[Start]]]
"""For each part, where the statements begin that go to it."""


def make_listing(source: FunctionSource, starts: Starts, landmarks: Sequence[Landmark]) -> Listing:
    """Gives each line of a function its margin, and puts the helpers that are written out where they are called.

    Args:
        source: The function.
        starts: Where its statements and those of its helpers go.
        landmarks: All landmarks; those that stand elsewhere are left out.
    """
    helpers = {(one.call.lineno, one.call.col_offset): one.method for one in source.written_out}
    return _Maker(source, starts, landmarks, helpers, is_helper=False).listing()


class _Maker:
    def __init__(
        self,
        source: FunctionSource,
        starts: Starts,
        landmarks: Sequence[Landmark],
        helpers: Mapping[Start, FunctionSource],
        *,
        is_helper: bool,
    ) -> None:
        self.source, self.starts, self.landmarks, self.helpers = source, starts, landmarks, helpers
        self.is_helper = is_helper
        self.text = read_function(source)
        self.counted: list[tuple[tuple[Part, ...], bool]] = []

    def listing(self) -> Listing:
        owner: dict[int, SourceStatement] = {}
        begins: dict[int, list[SourceStatement]] = {}
        parts: dict[Start, tuple[Part, ...]] = {}
        for statement in self.text.statements:
            owner.update(dict.fromkeys(range(statement.line, statement.end + 1), statement))
            begins.setdefault(statement.line, []).append(statement)
            parts[statement.start] = self._parts(statement)
            if statement.start not in self.helpers and parts[statement.start]:
                self.counted.append((parts[statement.start], _on_reuse(statement, parts[statement.start])))
        lines: list[Line] = []
        for number in range(self.text.first, self.text.last + 1):
            here = begins.get(number) or [s for s in (owner.get(number),) if s is not None]
            going = {part for statement in here for part in parts[statement.start]}
            ordered = tuple(part for part, _ in self.starts if part in going)
            ordered += (DROPPED,) if DROPPED in going else ()
            lines.append(self._line(number, owner.get(number), ordered, number in begins))
        return Listing(self.source.title, self.source.file.shown, tuple(_joined(lines)), tuple(self.counted))

    def _parts(self, statement: SourceStatement) -> tuple[Part, ...]:
        found = tuple(part for part, starts in self.starts if statement.start in starts)
        is_return = self.is_helper and statement.end == self.text.last  # it may hand back what has its name already
        return found or (() if statement.start in self.helpers or is_return else (DROPPED,))

    def _line(self, number: int, owner: SourceStatement | None, parts: tuple[Part, ...], begins: bool) -> Line:
        text = self.source.file.line(number)
        kind = _kind(number, text, self.text, owner)
        if kind in ("comment", "blank"):
            return Line(number, text, kind)
        helper = None
        if owner is not None and owner.start in self.helpers:
            kind = "call"
            if number == owner.end:
                maker = _Maker(self.helpers[owner.start], self.starts, self.landmarks, self.helpers, is_helper=True)
                helper = maker.listing()
                self.counted += helper.counted
        parts = () if kind == "call" else parts
        return Line(number, text, kind, parts, begins, self._marks(number, text), helper=helper)

    def _marks(self, number: int, text: str) -> tuple[Mark, ...]:
        here = [
            landmark
            for landmark in self.landmarks
            if landmark.span.file == self.source.file.shown and landmark.span.line == number
        ]
        return tuple(
            Mark(one.span.column - 1, min(one.span.end_column - 1, len(text)), one.role, one.label) for one in here
        )


def _on_reuse(statement: SourceStatement, parts: tuple[Part, ...]) -> bool:
    # The norm slice takes the first turn of a loop and does not loop.
    return any(part.on_reuse for part in parts if not (statement.is_loop and BLOCKS in parts))


def _kind(number: int, text: str, function: FunctionText, owner: SourceStatement | None) -> LineKind:
    if number in function.docstring:
        return "docstring"
    inside = owner is not None and not owner.is_compound
    if not text.strip() and not inside:
        return "blank"
    if text.lstrip().startswith("#") and not (inside and owner is not None and number > owner.line):
        return "comment"
    return "signature" if owner is None else "code"


def _joined(lines: list[Line]) -> list[Line]:
    """Comments take the parts of the statement that they are about, the next one; so do empty lines within a run."""
    out: list[Line] = []
    following: tuple[Part, ...] = ()
    for line in reversed(lines):
        if line.kind == "comment":
            line = replace(line, parts=following)
        elif line.kind != "blank":
            following = line.parts
        out.append(line)
    before: tuple[Part, ...] = ()
    after = [line.parts for line in out if line.kind != "blank"]
    joined: list[Line] = []
    for line in reversed(out):
        if line.kind != "blank":
            before = after.pop()
        elif after and before == after[-1]:
            line = replace(line, parts=before)
        joined.append(line)
    return joined
