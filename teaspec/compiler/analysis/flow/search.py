"""Finding statements, calls and what no analysis can follow in a function's body."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.syntax.names import self_path
from teaspec.compiler.analysis.syntax.walking import children, walk
from teaspec.compiler.forms.places import Place


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """A function's statements, its docstring left out."""
    value = body[0].value if isinstance(body[0], ast.Expr) and len(body) > 1 else None
    return body[1:] if isinstance(value, ast.Constant) and isinstance(value.value, str) else body


def simple_statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements without a suite of their own, at any depth."""
    for statement in body:
        inner = [child for child in children(statement) if isinstance(child, ast.stmt)]
        if inner and not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            yield from simple_statements(inner)
        elif not inner:
            yield statement


def calls_of(node: ast.AST, path: str, self_name: str) -> Iterator[ast.Call]:
    """The calls of the submodule or method `self.<path>` inside a node."""
    for part in walk(node):
        if isinstance(part, ast.Call) and self_path(part.func, self_name) in {path, f"{path}.forward"}:
            yield part


def mentions_of(node: ast.AST, path: str, self_name: str) -> Iterator[ast.AST]:
    """The places inside a node where `self.<path>` is read."""
    for part in walk(node):
        if isinstance(part, ast.Attribute) and self_path(part, self_name) == path:
            yield part


def made_of(names: Iterable[Place], suite: Sequence[ast.stmt], self_name: str) -> set[Place]:
    """The places, and those that a suite makes of them: a loop over passes hands on what its block loop made."""
    made = set[Place](names)
    for statement in simple_statements(suite):
        effects = effects_of(statement, self_name=self_name)
        made |= effects.binds if effects.reads & made else set()
    return made


def unanalysable(function: ast.AST) -> Iterator[tuple[ast.AST, str, str]]:
    """The places in a function that no analysis can follow, each with its code and what the function does there."""
    for node in walk(function):
        if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await)):
            yield node, "yield-in-forward", "yields or awaits"
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            yield node, "global-statement", "binds names of an outer scope"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _DYNAMIC:
            of_an_object = node.func.id in {"vars", "dir"} and node.args
            if not of_an_object:
                yield node, "dynamic-scope", f"looks at its own names with `{node.func.id}`"


_DYNAMIC = frozenset({"locals", "eval", "exec", "vars", "dir"})
