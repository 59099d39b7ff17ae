"""Syntax that no analysis here knows: that of a later Python."""

from __future__ import annotations

import ast


class UnknownSyntaxError(Exception):
    """A statement, expression or pattern is of a kind that is not known.

    Attributes:
        node: Where it stands; Python itself understands it.
    """

    def __init__(self, node: ast.AST) -> None:
        """Says which node it is."""
        super().__init__(f"unknown syntax: {type(node).__name__}")
        self.node = node
