"""The tokens of a function's text, line by line, with the landmarks in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pygments.lexers.python import PythonLexer
from pygments.token import Token

from teaspec.compiler.report.cells import TAB_STOP, printable
from teaspec.explain.listing import Line, Listing

_KINDS = (
    (Token.Comment, "comment"),
    (Token.Literal.String, "string"),
    (Token.Literal.Number, "number"),
    (Token.Keyword.Constant, "number"),
    (Token.Keyword, "keyword"),
    (Token.Operator.Word, "keyword"),
    (Token.Name.Decorator, "decorator"),
    (Token.Name.Function, "function"),
    (Token.Name.Builtin.Pseudo, "self"),
)


@dataclass(frozen=True)
class Piece:
    """A stretch of a line.

    Attributes:
        text: Its text, fit to be shown.
        kind: What it is in Python; empty for what needs no colour of its own.
        role: The landmark that it belongs to; empty for none.
    """

    text: str
    kind: str
    role: str = ""


def pieces_of(listing: Listing) -> dict[int, list[Piece]]:
    """The pieces of each line, by the line's number.

    Args:
        listing: The function; its helpers are listings of their own.
    """
    kinds = _kinds(tuple(line.text for line in listing.lines))
    return {line.number: list(_pieces(line, found)) for line, found in zip(listing.lines, kinds, strict=True)}


@lru_cache(maxsize=64)
def _kinds(lines: tuple[str, ...]) -> list[list[str]]:
    """For each line, the kind of each of its characters."""
    kinds: list[str] = []
    for token, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens("\n".join(lines)):
        kinds += [next((name for parent, name in _KINDS if token in parent), "")] * len(text)
    out: list[list[str]] = []
    start = 0
    for line in lines:
        # the lexer may swallow a character at an end, such as a byte order mark; no line of the text may go with it
        out.append([*kinds[start : start + len(line)], *[""] * len(line)][: len(line)])
        start += len(line) + 1
    return out


def _pieces(line: Line, kinds: Sequence[str]) -> Iterator[Piece]:
    roles = [
        next((mark.role for mark in line.marks if mark.start <= at < mark.end), "") for at in range(len(line.text))
    ]
    start = 0
    for at in range(1, len(line.text) + 1):
        if at == len(line.text) or (kinds[at], roles[at]) != (kinds[start], roles[start]):
            yield Piece(shown(line.text[start:at]), kinds[start], roles[start])
            start = at


def shown(text: str) -> str:
    """A piece of source as it is shown: tabs as blanks, nothing that steers a terminal.

    Args:
        text: The text, without line breaks.
    """
    return printable(text.replace("\t", " " * TAB_STOP))
