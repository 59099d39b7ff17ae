"""Where statements stand."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.program import Start


def starts_of(statements: Iterable[ast.AST]) -> frozenset[Start]:
    """Where statements, and those within them, begin.

    Args:
        statements: Statements that stand in the model's source, or stand for one that does.
    """
    nodes = (node for statement in statements for node in walk(statement) if isinstance(node, ast.stmt))
    return frozenset((node.lineno, node.col_offset) for node in nodes)
