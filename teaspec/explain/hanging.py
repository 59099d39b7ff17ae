"""Lines of code on a terminal that may be too narrow for them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_DEEPER = 4


class Hanging:
    """A line of code; where it has no room it goes on in the next one, deeper than it began."""

    def __init__(self, text: Text) -> None:
        """Takes the line.

        Args:
            text: The line with its indentation.
        """
        self._text = text
        self._indent = len(text.plain) - len(text.plain.lstrip())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lays the line out for the width that there is."""
        if self._text.cell_len <= options.max_width:
            yield self._text
            return
        indent = min(self._indent, options.max_width // 3)
        room = max(options.max_width - indent - _DEEPER, 1)
        pieces = self._text[self._indent :].wrap(console, room, overflow="fold")
        for number, piece in enumerate(pieces):
            yield Text(" " * (indent + (_DEEPER if number else 0))) + piece

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as the line, if there is room."""
        return Measurement(1, max(self._text.cell_len, 1)).with_maximum(options.max_width)


class Pointing:
    """What is under a line of code to say what a stretch of it is."""

    def __init__(self, line: Text, spans: Sequence[tuple[int, int, str]]) -> None:
        """Takes the line and its stretches.

        Args:
            line: The line that stands above.
            spans: For each stretch its first cell, the cell behind it and what it is.
        """
        self._line, self._spans = line, spans

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Points with carets; where the line had no room for itself, by repeating what is meant."""
        for start, end, what in self._spans:
            under = " " * start + "^" * (end - start)
            if max(self._line.cell_len, len(under) + 1 + len(what)) <= options.max_width:
                yield Text(f"{under} {what}", "bold")
            elif self._line.cell_len <= options.max_width:
                yield Text(under, "bold")
                yield Text(" " * max(min(start, options.max_width - len(what)), 0) + what, "bold", overflow="fold")
            else:
                yield Text(f"^ {what}: {self._line.plain[start:end]}", "bold", overflow="fold")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as the line above and what stands behind the carets, if there is room."""
        widths = [end + 1 + len(what) for _, end, what in self._spans]
        return Measurement(1, max([self._line.cell_len, *widths])).with_maximum(options.max_width)
