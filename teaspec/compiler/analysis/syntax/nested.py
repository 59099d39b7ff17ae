"""Where nested functions may be called."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from teaspec.compiler.analysis.syntax.names import outside_functions
from teaspec.compiler.analysis.syntax.walking import walk


def only_called_in(place: Sequence[ast.stmt], body: Sequence[ast.stmt], statement: ast.stmt, name: str) -> bool:
    """Whether the functions that a statement makes, and that read a name, can be called nowhere but in some statements.

    That is so where each has a name of its own, which only calls of it use, and makes no functions itself.

    Args:
        place: The statements.
        body: All statements of the forward.
        statement: The one that makes the functions.
        name: The name that they read.
    """
    made = [node for node in _functions(statement) if _reads(node, name)]
    return bool(made) and all(_is_only_called(node, place, body) for node in made)


def _functions(statement: ast.stmt) -> Iterator[ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp)
    return (node for node in walk(statement) if isinstance(node, kinds))


def _reads(node: ast.AST, name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for part in walk(node))


def _is_only_called(node: ast.AST, place: Sequence[ast.stmt], body: Sequence[ast.stmt]) -> bool:
    if not isinstance(node, ast.FunctionDef) or node.decorator_list or sum(1 for _ in _functions(node)) > 1:
        return False
    uses = [n for s in body for n in walk(s) if isinstance(n, ast.Name) and n.id == node.name]
    # A call that stands in another function, or in a generator, may be made later.
    now = [n for s in place for n in outside_functions(s)]
    later = {id(part) for n in now if isinstance(n, ast.GeneratorExp) for part in walk(n)}
    called = {id(n.func) for n in now if isinstance(n, ast.Call) and id(n) not in later}
    inside = {id(part) for part in walk(node)}
    return all(id(use) in called and id(use) not in inside for use in uses)
