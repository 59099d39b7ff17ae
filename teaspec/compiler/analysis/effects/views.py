"""Names that plainly are views of the same objects: what a reader sees at once, not all that might share an object."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from functools import lru_cache

from teaspec.compiler.analysis.effects.operations import PLAIN_ATTRIBUTES, VIEWS
from teaspec.compiler.analysis.syntax.captures import captures
from teaspec.compiler.analysis.syntax.names import root_names, target_names
from teaspec.compiler.analysis.syntax.parallel import parts_of
from teaspec.compiler.analysis.syntax.walking import walk

Pairs = list[tuple[str, str]]


def view_pairs(statements: Iterable[ast.stmt]) -> Pairs:
    """The pairs of names that statements plainly make views of each other.

    `y = x`, `y = x[:, 1:]`, `y = x.view(...)`, `y = +x`, `y = x if c else z`, `for y in x`,
    `case y`.
    """
    return [pair for statement in statements for pair in _pairs(statement)]


# A statement is never changed: what rewrites one works on a copy.
@lru_cache(maxsize=1024)
def _pairs(statement: ast.stmt) -> tuple[tuple[str, str], ...]:
    nodes = walk(statement)
    assigned = [part for n in nodes if isinstance(n, ast.Assign) for part in (parts_of(n) or [n])]
    bound = [(target, node.value) for node in assigned for target in node.targets]
    bound += [(node.target, node.iter) for node in nodes if isinstance(node, ast.For)]
    bound += [(n.target, n.value) for n in nodes if isinstance(n, (ast.AnnAssign, ast.NamedExpr)) and n.value]
    captured = [(n, part) for node in nodes if isinstance(node, ast.Match) for case in node.cases
                for n, part in captures(case.pattern, node.subject)]  # fmt: skip
    bound += [(ast.Name(name, ast.Store()), part) for name, part in captured]
    return tuple((name, root) for target, value in bound for name in target_names(target) for root in _viewed(value))


def views_in(pairs: Pairs, names: Iterable[str]) -> set[str]:
    """The names, and those that share an object with one of them by way of some pairs."""
    found = set(names)
    while True:
        more = {a for a, b in pairs if b in found} | {b for a, b in pairs if a in found}
        if more <= found:
            return found
        found |= more


def views_of(statements: Sequence[ast.stmt], names: Iterable[str]) -> set[str]:
    """The names and those that statements plainly make views of the same objects."""
    return views_in(view_pairs(statements), names)


def _viewed(value: ast.expr) -> set[str]:
    if isinstance(value, ast.Call):
        function = value.func
        if not isinstance(function, ast.Attribute) or function.attr not in VIEWS:
            return set()
        on_module = isinstance(function.value, ast.Name) and function.value.id in _MODULES and value.args
        return _viewed(value.args[0] if on_module else function.value)
    if isinstance(value, ast.UnaryOp):
        return _viewed(value.operand) if isinstance(value.op, ast.UAdd) else set()
    parts = _parts(value)
    if parts:
        return {name for part in parts for name in _viewed(part)}
    if isinstance(value, ast.Attribute) and value.attr in PLAIN_ATTRIBUTES:
        return set()
    if isinstance(value, (ast.Attribute, ast.Subscript, ast.Starred)):
        return _viewed(value.value)
    return root_names(value) - {"self"} if isinstance(value, ast.Name) else set()


def _parts(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.IfExp):
        return [value.body, value.orelse]
    if isinstance(value, ast.BoolOp):
        return value.values
    if isinstance(value, ast.NamedExpr):
        return [value.target, value.value]
    return []  # what a display holds is not the display: to fill it changes none of that


_MODULES = frozenset({"torch", "F", "np", "numpy"})
