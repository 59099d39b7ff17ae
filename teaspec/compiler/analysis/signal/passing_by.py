"""Where a function goes on or returns without having come to the norm."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Sequence

from teaspec.compiler.analysis.flow.search import simple_statements
from teaspec.compiler.analysis.syntax.names import outside_functions
from teaspec.compiler.analysis.syntax.walking import walk


def way_past(
    suite: Sequence[ast.stmt], own: Collection[int], leads: Callable[[ast.expr], bool], title: str
) -> tuple[str, ast.AST] | None:
    """Finds a way through a function that passes by the norm.

    Args:
        suite: The statements of the function up to the norm, with `return` where they come to it.
        own: The identities of the `return` statements that the function has itself.
        leads: Whether an expression is what leads to the norm: the block, or the method that goes on to it.
        title: How messages name the function.

    Returns:
        What is the matter, and where; None where the statements do not show it.
    """
    returns = [p for s in suite for p in outside_functions(s) if isinstance(p, ast.Return) and id(p) in own]
    early = next((node for node in returns if node not in suite), None)
    if early is not None:
        return f"`{title}` can return before it comes to the norm", early
    unclear = next((s for s in simple_statements(suite) if _mentions(s, leads)), None)
    if unclear is not None:
        return f"how `{title}` goes on to the norm does not show in this statement", unclear
    return _going_on(suite, title)


def _mentions(statement: ast.stmt, leads: Callable[[ast.expr], bool]) -> bool:
    """Whether a statement that does not end the way names what leads to the norm."""
    loads = [n for n in walk(statement) if isinstance(n, (ast.Name, ast.Attribute, ast.Subscript))]
    is_binding = isinstance(statement, ast.Assign) and leads(statement.value)
    is_end = isinstance(statement, ast.Return) or is_binding
    return not is_end and any(isinstance(node.ctx, ast.Load) and leads(node) for node in loads)


def _going_on(suite: Sequence[ast.stmt], title: str) -> tuple[str, ast.AST] | None:
    """The branch by which control goes on behind a suite."""
    for node in reversed(suite):
        if not isinstance(node, ast.If):
            continue
        ends = [_ends(node.body), _ends(node.orelse)]
        if not any(ends):
            continue
        other = node.orelse if ends[0] else node.body
        holds = "holds" if ends[0] else "does not hold"
        message = f"`{title}` comes to the norm only where this {holds}"
        return (_going_on(other, title) if other else None) or (message, node.test)
    return None


def _ends(suite: Sequence[ast.stmt]) -> bool:
    """Whether control never goes on behind a suite."""
    last = suite[-1] if suite else None
    if isinstance(last, ast.If):
        return _ends(last.body) and _ends(last.orelse)
    if isinstance(last, ast.With):
        return _ends(last.body)
    return isinstance(last, (ast.Return, ast.Raise))
