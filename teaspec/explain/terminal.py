"""An explanation on a terminal, readable without colour: the margin says in words what its colours say."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from teaspec.explain.explanation import Explanation
from teaspec.explain.hanging import Hanging, Pointing
from teaspec.explain.listing import Line, Listing
from teaspec.explain.parts import BLOCKS, DROPPED, NORM, POSTLUDE, PRELUDE, SUNK, Part
from teaspec.explain.rows import Row, rows_of
from teaspec.explain.syntax import Piece, pieces_of, shown

_COLOURS = {
    PRELUDE: "blue",
    SUNK: "magenta",
    NORM: "green",
    BLOCKS: "yellow",
    POSTLUDE: "cyan",
    DROPPED: "bright_black",
}
_SYNTAX = {"comment": "italic dim", "string": "dim", "keyword": "bold", "decorator": "dim"}
_BESIDE = 46
_ENOUGH_FOR_BOTH = 168


class TerminalView:
    """What rich prints of an explanation: the texts, and what crosses the cuts beside them or above."""

    def __init__(self, explanation: Explanation, *, beside: bool = True) -> None:
        """Prepares it.

        Args:
            explanation: What is explained.
            beside: Whether to put the two beside each other where there is room.
        """
        self._explanation, self._beside = explanation, beside

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lays it out for the console's width; a console that cannot show bars gets signs of ASCII."""
        painter = _Painter(self._explanation, plain=not options.encoding.startswith("utf"))
        listings = Group(*(part for one in self._explanation.listings for part in painter.listing(one)))
        yield from painter.head()
        if self._beside and options.max_width >= _ENOUGH_FOR_BOTH:
            both = Table.grid(padding=(0, 2), expand=True)
            both.add_column(ratio=1)
            both.add_column(width=_BESIDE)
            both.add_row(listings, Group(*painter.crossing()))
            yield both
        else:
            yield from painter.crossing()
            yield listings

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as there is room."""
        return Measurement(options.max_width, options.max_width)


class _Painter:
    def __init__(self, explanation: Explanation, *, plain: bool) -> None:
        self._explanation = explanation
        self._on_reuse, self._not, self._rule = ("|", ":", "-") if plain else ("▌", "┊", "─")

    def head(self) -> Iterator[RenderableType]:
        e = self._explanation
        yield Text.assemble((e.class_name, "bold"), f"  {e.spec}")
        sliced = f" and {e.sliced} of those on the way to the first attention" if e.sliced else ""
        yield Text(f"A reused step executes {e.reused} of {e.total} statements of the forward{sliced}.")
        yield Text()
        legend = Table.grid(padding=(0, 2, 0, 0))
        for count in e.counts:
            part = count.part
            mark = self._on_reuse if part.on_reuse else self._not
            word = Text(f"{mark} {part.word}", _COLOURS[part])
            legend.add_row(word, Text(str(count.number), justify="right"), part.meaning)
        yield legend
        yield Text()

    def crossing(self) -> Iterator[RenderableType]:
        """What decides, what is live and cached, and what a reused step keeps."""
        e = self._explanation
        yield Text("what decides", "bold")
        reason = "the modulated input behind it" if e.signal_is_norm else "this value itself"
        yield _indented(Text(f"{e.signal}: {reason}"))
        yield Text("live behind the blocks", "bold")
        for value in e.crossing.live:
            kind = "cached as a residual" if value.kind == "stream" else "carried over from the last computed step"
            yield _indented(Text(f"{value.name}: {kind}"))
        if e.crossing.unread:
            yield _indented(Text(f"{e.crossing.unread}: not read again, so not cached"))
        yield Text("kept for the postlude", "bold")
        yield _indented(Text(", ".join(e.crossing.past_blocks) or "nothing"))
        yield Text("kept for the blocks", "bold")
        yield _indented(Text(", ".join(e.crossing.into_blocks) or "nothing"))
        yield Text("landmarks", "bold")
        table = Table.grid(padding=(0, 2, 0, 0))
        for landmark in e.landmarks:
            place = f"{landmark.span.file.rpartition('/')[2]}:{landmark.span.line}"
            table.add_row(Text(landmark.role, "underline"), Text(f"{landmark.label}\n{place}", overflow="fold"))
        yield _indented(table)
        yield Text()

    def listing(self, listing: Listing) -> Iterator[RenderableType]:
        rows = rows_of(listing, self._explanation)
        fold = next((index for index, row in enumerate(rows) if row.kind == "fold"), len(rows))
        yield Text.assemble((listing.title, "bold"), f"  {listing.file}:{listing.first}")
        table = Table.grid(padding=(0, 1, 0, 0))
        words = [len(self._word(row.line.parts)) for row in rows[:fold] if row.line is not None and row.starts_run]
        table.add_column(width=max([8, *words]))
        table.add_column(width=2)
        table.add_column(justify="right", style="bright_black", no_wrap=True)
        table.add_column(overflow="fold")
        pieces = dict(self._pieces(listing))
        title = listing.title
        dedent = len(listing.lines[0].text) - len(listing.lines[0].text.lstrip())
        for row in rows[: fold + 1]:
            if row.kind == "opened" and row.listing is not None:
                title = row.listing.title
            found = pieces.get((title, row.line.number), []) if row.line is not None else []
            self._add(table, row, found, dedent)
            if row.kind == "closed":
                title = listing.title
        yield table
        yield Text()

    def _pieces(self, listing: Listing) -> Iterator[tuple[tuple[str, int], list[Piece]]]:
        yield from (((listing.title, number), found) for number, found in pieces_of(listing).items())
        for line in listing.lines:
            if line.helper is not None:
                yield from self._pieces(line.helper)

    def _add(self, table: Table, row: Row, pieces: list[Piece], dedent: int) -> None:
        if row.line is not None:
            line = row.line
            word = Text(self._word(line.parts), _style(line.parts)) if row.starts_run else ""
            code = _code(line, pieces, dedent)
            bars = self._bars(line.parts)
            table.add_row(word, bars, str(line.number), Hanging(code))
            spans = [_cells(line, mark.start, mark.end, dedent, f"{mark.role}: {mark.label}") for mark in line.marks]
            begin = len(line.text) - len(line.text.lstrip())
            spans += [_cells(line, begin, begin + 1, dedent, note) for note in line.notes]
            if spans:
                table.add_row("", bars, "", Pointing(code, spans))
        elif row.kind == "opened" and row.listing is not None:
            table.add_row(
                "", "", "", Text(f"written out here: {row.listing.title}, which holds the block loop", "italic")
            )
        elif row.kind == "closed":
            table.add_row("", "", "", Text("back again", "italic"))
        elif row.kind == "fold":
            table.add_row("", "", "", Text(f"... {row.title}", "italic"))
        else:
            text = Text(f"{self._rule * 3} {row.title} {self._rule * 3}", "bold yellow")
            for crossing in row.crossing:
                text.append(f"\n{crossing.caption}: ", "not bold default")
                text.append(", ".join(crossing.names), "not bold default")
            table.add_row("", "", "", text)

    @staticmethod
    def _word(parts: tuple[Part, ...]) -> str:
        return " + ".join(part.word for part in parts)

    def _bars(self, parts: tuple[Part, ...]) -> Text:
        bars = [(self._on_reuse if part.on_reuse else self._not, _COLOURS[part]) for part in parts]
        return Text.assemble(*bars)


def _style(parts: tuple[Part, ...]) -> str:
    return f"bold {_COLOURS[parts[0]]}"


def _indented(renderable: RenderableType) -> Padding:
    return Padding(renderable, (0, 0, 0, 2))


def _cells(line: Line, start: int, end: int, dedent: int, what: str) -> tuple[int, int, str]:
    return cell_len(shown(line.text[:start])) - dedent, cell_len(shown(line.text[:end])) - dedent, what


def _code(line: Line, pieces: list[Piece], dedent: int) -> Text:
    """A line's text; the landmarks are underlined, what no step executes is struck out."""
    text = Text()
    for piece in pieces:
        style = _SYNTAX.get(piece.kind, "")
        text.append(piece.text, f"{style} underline".strip() if piece.role else style)
    if line.kind in ("docstring", "comment"):
        text.stylize("dim")
    if line.parts == (DROPPED,):
        text.stylize("strike")
    return text[min(dedent, len(text.plain) - len(text.plain.lstrip())) :]
