"""Branches that are never taken, because their test is a literal: `if False:`, `if 0 and ...`."""

from __future__ import annotations

import ast
import copy
from functools import lru_cache

from teaspec.compiler.analysis.flow.constants import Known, decided
from teaspec.compiler.analysis.syntax.names import bound_names, parameters_of
from teaspec.compiler.analysis.syntax.walking import walk

_NOTHING = Known(frozenset(), "")


@lru_cache(maxsize=1024)
def folded(function: ast.FunctionDef) -> ast.FunctionDef:
    """A function without the branches that are never taken; itself where there are none.

    A branch stays that makes the function what it is: by a `yield`, by `global`, or because it alone binds a name that
    is read elsewhere.

    Args:
        function: The function; it is left as it is.
    """
    if not any(_dead(node, function) for node in walk(function)):
        return function
    made: ast.FunctionDef = _Folder(function).visit(copy.deepcopy(function))
    return made


def _dead(node: ast.AST, function: ast.FunctionDef) -> list[ast.stmt]:
    """The suite of a statement that is never run, where it can be left out."""
    way = decided(node.test, _NOTHING) if isinstance(node, ast.If) else None
    if not isinstance(node, ast.If) or way is None:
        return []
    dead = node.orelse if way else node.body
    inside = [part for statement in dead for part in walk(statement)]
    if any(isinstance(part, (ast.Yield, ast.YieldFrom, ast.Await, ast.Global, ast.Nonlocal)) for part in inside):
        return []
    places = {(part.lineno, part.col_offset) for part in inside if isinstance(part, ast.Name)}
    others = [n for n in walk(function) if isinstance(n, ast.Name) and (n.lineno, n.col_offset) not in places]
    bound = {n.id for n in others if not isinstance(n.ctx, ast.Load)}
    alone = bound_names(dead) - bound - {*parameters_of(function.args)}
    return [] if alone & {n.id for n in others} else dead


class _Folder(ast.NodeTransformer):
    def __init__(self, function: ast.FunctionDef) -> None:
        self.function = function

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        dead = _dead(node, self.function)
        taken = node.orelse if dead is node.body else node.body
        if not dead:
            self.generic_visit(node)
            return node
        left = [part for statement in taken for part in _listed(self.visit(statement))]
        return left or ast.copy_location(ast.Pass(), node)


def _listed(made: ast.stmt | list[ast.stmt]) -> list[ast.stmt]:
    return made if isinstance(made, list) else [made]
