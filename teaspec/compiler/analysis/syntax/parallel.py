"""Parallel assignments: `a, b = f(x), g(y)` is two assignments in one line, of which only one may be wanted."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from teaspec.compiler.analysis.syntax.names import outside_functions
from teaspec.compiler.analysis.syntax.walking import walk


def parts_of(node: ast.stmt) -> list[ast.Assign]:
    """The single assignments that a parallel one consists of; none for any other statement."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return []
    pairs = _pairs(node.targets[0], node.value)
    names = {name.id for name, _ in pairs if isinstance(name, ast.Name)}
    if len(names) != len(pairs):
        return []
    made = [ast.Assign(targets=[name], value=part) for name, part in pairs]
    return [ast.copy_location(part, node) if hasattr(node, "lineno") else part for part in made]


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """The single targets of `a, *b = x, y, z`, each with its value; none where they do not show."""
    if not isinstance(target, ast.Tuple) or not isinstance(value, ast.Tuple):
        return []
    targets, values = target.elts, value.elts
    stars = [index for index, element in enumerate(targets) if isinstance(element, ast.Starred)]
    if any(isinstance(element, ast.Starred) for element in values):
        return []
    if not stars:
        return list(zip(targets, values, strict=True)) if len(targets) == len(values) else []
    star, behind = stars[0], len(targets) - stars[0] - 1
    if len(values) < len(targets) - 1:
        return []
    starred, end = targets[star], len(values) - behind
    assert isinstance(starred, ast.Starred)
    rest = ast.copy_location(ast.List(values[star:end], ast.Load()), value)
    before, after = zip(targets[:star], values[:star], strict=True), zip(targets[star + 1 :], values[end:], strict=True)
    return [*before, (starred.value, rest), *after]


def joined(parts: Sequence[ast.stmt], node: ast.stmt) -> ast.stmt:
    """One assignment of some parts of a parallel one."""
    kept = [part for part in parts if isinstance(part, ast.Assign)]
    if len(kept) == 1:
        return kept[0]
    target = ast.Tuple([part.targets[0] for part in kept], ast.Store())
    return ast.copy_location(ast.Assign([target], ast.Tuple([part.value for part in kept], ast.Load())), node)


def split_parallel(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Writes parallel assignments one under the other, where that is the same and one of them does some work.

    It is the same if no value reads a name that one before it binds, itself or in a nested function that it may call.
    """
    suite = list(body)
    nested = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
    captured = {
        name
        for statement in suite
        for part in outside_functions(statement)
        if isinstance(part, nested)
        for name in _read(part)
    }
    out: list[ast.stmt] = []
    for statement in suite:
        parts = parts_of(statement)
        works = any(isinstance(node, ast.Call) for part in parts for node in walk(part))
        bound: set[str] = set()
        independent = True
        for part in parts:
            independent = independent and not bound & _read(part)
            bound |= {node.id for node in walk(part) if isinstance(node, ast.Name) and not _is_read(node)}
        out += parts if works and independent and not bound & captured else [statement]
    return out


def _read(node: ast.AST) -> set[str]:
    return {part.id for part in walk(node) if isinstance(part, ast.Name) and _is_read(part)}


def _is_read(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)
