"""Sizes as the probe writes them: `4`, `batch`, `text + 2 * image`.

They are parsed here, once, into a small tree. Nothing is ever evaluated by Python.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Operator = Literal["+", "-", "*", "//"]

MAX_LENGTH = 120
_MAX_DEPTH = 16
_MAX_DIGITS = 12
_TOKEN = re.compile(r"\s*(?:(?P<number>[0-9]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<symbol>//|[-+*()]))")


@dataclass(frozen=True)
class Number:
    """A written integer."""

    value: int


@dataclass(frozen=True)
class Name:
    """The drawn value of a dim."""

    name: str


@dataclass(frozen=True)
class Binary:
    """Two sizes combined; `//` rounds down."""

    operator: Operator
    left: Node
    right: Node


Node: TypeAlias = Number | Name | Binary


@dataclass(frozen=True)
class Expression:
    """An integer that depends on the probe's dims.

    Attributes:
        text: As written.
        tree: As parsed.
    """

    text: str
    tree: Node

    @property
    def names(self) -> tuple[str, ...]:
        """The dims it reads, each once, in the order of their first use."""
        return tuple(dict.fromkeys(_names(self.tree)))

    def evaluate(self, dims: Mapping[str, int]) -> int:
        """Computes the integer.

        Args:
            dims: A value for every name in `names`.

        Returns:
            The value, which may be negative.

        Raises:
            KeyError: A name has no value.
            ZeroDivisionError: The right side of a `//` is 0.
        """
        return _evaluate(self.tree, dims)

    def bounds(self, dims: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
        """Finds limits of the integer, without trying dims: it never lies outside, and may never reach them.

        Args:
            dims: The smallest and the largest value of every name in `names`.
        """
        return _bounds(self.tree, dims)

    def __str__(self) -> str:
        return self.text


class ExpressionError(ValueError):
    """The text is not an expression; the message says why, as the second half of a sentence."""


def parse_expression(text: str) -> Expression:
    """Parses an integer, a dim, or `+ - * //` and parentheses over them.

    Args:
        text: At most `MAX_LENGTH` characters.

    Returns:
        The expression.

    Raises:
        ExpressionError: It is something else.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it is longer than {MAX_LENGTH} characters")
    parser = _Parser(_tokens(text))
    tree = parser.sum(depth=0)
    if parser.next is not None:
        raise ExpressionError(f"`{parser.next}` cannot follow what stands before it")
    return Expression(text.strip(), tree)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    text = text.rstrip()
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            rest = text[position:].lstrip()
            if rest.startswith("/"):
                raise ExpressionError("`/` does not give an integer; write `//`")
            raise ExpressionError(f"`{rest[0]}` is not part of the language of sizes")
        tokens.append(match[0].strip())
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._position = 0

    @property
    def next(self) -> str | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def sum(self, depth: int) -> Node:
        node = self._product(depth)
        while True:
            if self._accept("+"):
                node = Binary("+", node, self._product(depth))
            elif self._accept("-"):
                node = Binary("-", node, self._product(depth))
            else:
                return node

    def _product(self, depth: int) -> Node:
        node = self._atom(depth)
        while True:
            if self._accept("*"):
                node = Binary("*", node, self._atom(depth))
            elif self._accept("//"):
                node = Binary("//", node, self._atom(depth))
            else:
                return node

    def _atom(self, depth: int) -> Node:
        token = self.next
        if token is None:
            raise ExpressionError("it ends where a number or a dim is missing")
        if depth > _MAX_DEPTH:
            raise ExpressionError(f"its parentheses are nested deeper than {_MAX_DEPTH}")
        self._position += 1
        if token == "(":
            node = self.sum(depth + 1)
            if not self._accept(")"):
                raise ExpressionError("a `(` is never closed")
            return node
        if token[0].isdigit():
            if len(token) > _MAX_DIGITS:
                raise ExpressionError(f"`{token}` is too large")
            return Number(int(token))
        if token[0].isalpha() or token[0] == "_":
            return Name(token)
        raise ExpressionError(f"`{token}` stands where a number or a dim is expected")

    def _accept(self, symbol: str) -> bool:
        if self.next != symbol:
            return False
        self._position += 1
        return True


def _names(node: Node) -> list[str]:
    if isinstance(node, Name):
        return [node.name]
    if isinstance(node, Binary):
        return _names(node.left) + _names(node.right)
    return []


def _evaluate(node: Node, dims: Mapping[str, int]) -> int:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Name):
        return dims[node.name]
    left, right = _evaluate(node.left, dims), _evaluate(node.right, dims)
    if node.operator == "+":
        return left + right
    if node.operator == "-":
        return left - right
    if node.operator == "*":
        return left * right
    return left // right


def _bounds(node: Node, dims: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    if isinstance(node, Number):
        return node.value, node.value
    if isinstance(node, Name):
        return dims[node.name]
    (low, high), (other_low, other_high) = _bounds(node.left, dims), _bounds(node.right, dims)
    if node.operator == "+":
        return low + other_low, high + other_high
    if node.operator == "-":
        return low - other_high, high - other_low
    if node.operator == "*":
        corners = [one * other for one in (low, high) for other in (other_low, other_high)]
    else:  # a quotient is largest where the divisor is nearest to 0, which it cannot be
        divisors = {other_low, other_high, 1, -1} - {0}
        corners = [one // other for one in (low, high) for other in divisors if other_low <= other <= other_high]
    return min(corners, default=0), max(corners, default=0)
