"""An explanation as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import teaspec
from teaspec.explain.explanation import Explanation
from teaspec.explain.listing import Listing
from teaspec.explain.parts import PARTS
from teaspec.explain.rows import Row, rows_of
from teaspec.explain.syntax import Piece, pieces_of
from teaspec.pages.template import load_template


def render_page(explanation: Explanation) -> str:
    """Writes the page: light and dark as the reader's system has it, no script, nothing from elsewhere.

    Args:
        explanation: What is explained.

    Returns:
        The text of an HTML file. The same explanation gives the same text.
    """
    listings = [_listing(explanation, number, one) for number, one in enumerate(explanation.listings)]
    return load_template("teaspec.explain", "explain.html.j2").render(
        e=explanation, parts=PARTS, listings=listings, version=teaspec.__version__
    )


def _listing(explanation: Explanation, number: int, listing: Listing) -> dict[str, Any]:
    pieces: dict[tuple[str, int], Any] = {}
    for one in _with_helpers(listing):
        pieces.update({(one.title, line): found for line, found in pieces_of(one).items()})
    blocks: list[dict[str, Any]] = []
    titles = [listing.title]
    for row in rows_of(listing, explanation):
        if row.kind == "opened" and row.listing is not None:
            titles.append(row.listing.title)
        fold = _fold(row, blocks[-1]["fold"] if blocks else "")
        if not blocks or blocks[-1]["fold"] != fold:
            blocks.append({"fold": fold, "rows": []})
        found = pieces.get((titles[-1], row.line.number), []) if row.line else []
        indent, rest = _indentation(found)
        blocks[-1]["rows"].append({"row": row, "indent": indent, "pieces": rest})
        if row.kind == "closed":
            titles.pop()
    for block in blocks:
        block["count"] = sum(entry["row"].kind == "line" for entry in block["rows"])
    return {"listing": listing, "blocks": blocks, "is_forward": listing is explanation.forward, "number": number}


def _fold(row: Row, before: str) -> str:
    """What a row may be folded under: a docstring, the rest of a block; empty where it stands open."""
    if row.kind == "fold":
        return row.title
    if row.line is not None and row.line.kind == "docstring":
        return "docstring"
    return before if before not in ("", "docstring") else ""


def _with_helpers(listing: Listing) -> Iterator[Listing]:
    yield listing
    for line in listing.lines:
        if line.helper is not None:
            yield from _with_helpers(line.helper)


def _indentation(pieces: Sequence[Piece]) -> tuple[str, list[Piece]]:
    """The blanks that a line begins with, and the rest of it."""
    text = "".join(piece.text for piece in pieces)
    indent = text[: len(text) - len(text.lstrip())]
    left, rest = len(indent), []
    for piece in pieces:
        cut = min(left, len(piece.text))
        left -= cut
        if cut < len(piece.text):
            rest.append(replace(piece, text=piece.text[cut:]))
    return indent, rest
