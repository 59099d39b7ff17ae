"""PyYAML's event stream, with every way in which it can fail turned into one exception."""

from __future__ import annotations

from collections.abc import Iterator

from yaml.error import MarkedYAMLError
from yaml.events import Event
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner
from yaml.tokens import ScalarToken

Position = tuple[int, int]
"""Line and column, both counted from 1."""


class MalformedError(Exception):
    """The text is not YAML.

    Attributes:
        problem: What PyYAML found wrong.
        position: Where.
        context: What PyYAML was reading.
        context_position: Where that began, if it says so.
    """

    def __init__(self, problem: str, position: Position, context: str, context_position: Position | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.position = position
        self.context = context
        self.context_position = context_position


class _Parser(Reader, Scanner, Parser):
    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def scan_plain(self) -> ScalarToken:
        """Lets a plain text in brackets end in `?`, as YAML 1.2 does and PyYAML does not: `{guidance?: [batch]}`."""
        token: ScalarToken = super().scan_plain()
        follows_directly = token.end_mark.index == self.index
        if self.flow_level and follows_directly and self.peek() == "?":
            self.forward()
            return ScalarToken(f"{token.value}?", True, token.start_mark, self.get_mark())
        return token


def parse_events(text: str) -> Iterator[Event]:
    r"""Parses YAML into events, without recursion.

    Args:
        text: Printable text with `\n` as line break.

    Yields:
        PyYAML's events.

    Raises:
        MalformedError: The text is not YAML.
    """
    parser = _Parser(text)
    try:
        while parser.check_event():
            yield parser.get_event()  # type: ignore[no-untyped-call]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise MalformedError(
            error.problem or "",
            (mark.line + 1, mark.column + 1) if mark else (1, 1),
            error.context or "",
            (error.context_mark.line + 1, error.context_mark.column + 1) if error.context_mark else None,
        ) from None
    except (ValueError, OverflowError):  # PyYAML converts the digits of an escape or a directive unchecked
        here = (parser.line + 1, parser.column + 1)
        raise MalformedError("found a number that is too large", here, "", None) from None


def offsets(event: Event) -> tuple[int, int]:
    """Returns where an event begins and ends.

    Args:
        event: One that `parse_events` gave.

    Returns:
        Two offsets in the text.
    """
    start, end = event.start_mark, event.end_mark
    if start is None or end is None:
        raise TypeError("PyYAML marks every event that it reads from a text")
    return start.index, end.index
