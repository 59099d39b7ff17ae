"""A listing as rows to be printed one under the other, with the cuts between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from teaspec.explain.explanation import Explanation
from teaspec.explain.listing import Line, Listing
from teaspec.explain.parts import NORM, Part


@dataclass(frozen=True)
class Names:
    """Names that cross a cut in the same way.

    Attributes:
        caption: How they cross.
        names: In the order in which they cross.
    """

    caption: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """What terminal and page show in one row of a listing: most often a line, sometimes what stands between lines.

    Attributes:
        kind: A line; the head of a helper that is written out, or its end; a cut; the beginning of what may be folded.
        depth: How many helpers it stands in.
        line: What the source has there; None where nothing of it is shown.
        starts_run: Whether it is the first line of several with the same parts.
        listing: The helper.
        title: What a cut or a fold says.
        crossing: What crosses the cut.
    """

    kind: Literal["line", "opened", "closed", "cut", "fold"]
    depth: int
    line: Line | None = None
    starts_run: bool = False
    listing: Listing | None = None
    title: str = ""
    crossing: tuple[Names, ...] = ()


def rows_of(listing: Listing, explanation: Explanation) -> list[Row]:
    """Puts cuts, helpers and folds between the lines of a listing.

    Args:
        listing: One of the explanation's listings.
        explanation: What is explained.
    """
    rows = list(_lines(listing, 0))
    if listing is explanation.forward:
        rows = list(_with_cuts(rows, explanation))
    elif listing in explanation.slices:
        rows = list(_with_fold(rows))
    return list(_with_runs(rows))


def _lines(listing: Listing, depth: int) -> Iterator[Row]:
    for line in listing.lines:
        yield Row("line", depth, line)
        if line.helper is not None:
            yield Row("opened", depth + 1, listing=line.helper)
            yield from _lines(line.helper, depth + 1)
            yield Row("closed", depth + 1, listing=line.helper)


def _with_cuts(rows: list[Row], explanation: Explanation) -> Iterator[Row]:
    numbers = [row.line.number if row.line is not None else 0 for row in rows]
    begin = numbers.index(explanation.blocks_begin)
    while begin > 0 and (before := rows[begin - 1].line) is not None and before.kind == "comment":
        begin -= 1  # what is said about the blocks stands with them
    end = numbers.index(explanation.blocks_end)
    yield from rows[:begin]
    yield Row("cut", rows[begin].depth, title="the blocks begin", crossing=tuple(_entering(explanation)))
    yield from rows[begin : end + 1]
    yield Row("cut", rows[end].depth, title="the blocks end", crossing=tuple(_leaving(explanation)))
    yield from rows[end + 1 :]


def _entering(explanation: Explanation) -> Iterator[Names]:
    crossing = explanation.crossing
    yield Names("into the blocks", crossing.into_blocks)
    if crossing.past_blocks:
        yield Names("past them, to the postlude", crossing.past_blocks)


def _leaving(explanation: Explanation) -> Iterator[Names]:
    crossing = explanation.crossing
    for kind, caption in (("stream", "live, cached as a residual"), ("carried", "live, carried over")):
        names = tuple(value.name for value in crossing.live if value.kind == kind)
        if names:
            yield Names(caption, names)
    if crossing.unread:
        yield Names("not read again, so not cached", (crossing.unread,))


def _with_fold(rows: list[Row]) -> Iterator[Row]:
    """Of a block, what comes after the modulated input may be folded."""
    last = max(index for index, row in enumerate(rows) if row.line is not None and NORM in row.line.parts)
    left = sum(row.kind == "line" for row in rows[last + 1 :])
    yield from rows[: last + 1]
    if left:
        yield Row("fold", 0, title=f"{left} more lines, executed by computed steps alone")
    yield from rows[last + 1 :]


def _with_runs(rows: list[Row]) -> Iterator[Row]:
    before: tuple[Part, ...] = ()
    for row in rows:
        if row.line is None:
            before = ()
            yield row
        elif row.line.kind == "blank":
            yield row
        else:
            parts = row.line.parts
            yield Row("line", row.depth, row.line, starts_run=bool(parts) and parts != before)
            before = parts
