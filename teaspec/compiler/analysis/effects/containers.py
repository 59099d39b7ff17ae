"""Containers of a function's own: lists, dicts and sets that it makes, fills and hands to nobody.

Filling such a container (`parts.append(x)`, `kwargs["mask"] = mask`) changes the container alone. It does not change
what it holds, and no other name is the same container; so none of the names that it shares objects with is changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from teaspec.compiler.analysis.effects.calls import Known, Summaries, changed_by_call, known_in
from teaspec.compiler.analysis.effects.operations import FILLS, FRESH, LOOKS, ONLY_LOOKS
from teaspec.compiler.analysis.syntax.names import parameters_of, self_attribute
from teaspec.compiler.analysis.syntax.walking import children, walk, walked

_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_MAKERS = frozenset({"list", "dict", "set"})
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def own_containers(function: ast.FunctionDef, summaries: Summaries, self_name: str) -> frozenset[str]:
    """The names of a function that only ever hold a container which no other name holds.

    Every binding is a display or a copy (or a slice of the container itself), and every use fills the container, takes
    items out, spreads them into a call, or looks. What is not on this list, such as `other = parts` or `f(parts)`,
    might hand the container on.

    An argument is such a name where the function first of all makes a container of its own out of it:
    `kwargs = kwargs.copy() if kwargs is not None else {}`. What it may do with the caller's before is look.

    Args:
        function: As the model's file has it.
        summaries: What is known of functions that it calls.
        self_name: The name of its first parameter.
    """
    return _own(function, self_name, known_in(function, summaries, self_name))


@lru_cache(maxsize=256)
def _own(function: ast.FunctionDef, self_name: str, known: Known) -> frozenset[str]:
    uses = _Uses(function, dict(known), self_name)
    arguments = set(parameters_of(function.args))
    rebound, of_the_caller = _rebound(function, arguments)
    kept: dict[str, bool] = dict.fromkeys(arguments - rebound, False)
    for node, inside in _names(function, inside=False):
        keeps = uses.only_looks(node) if id(node) in of_the_caller else uses.keeps_it(node)
        kept[node.id] = kept.get(node.id, True) and not inside and keeps
    return frozenset(name for name, keeps in kept.items() if keeps and name in uses.bound)


def _rebound(function: ast.FunctionDef, arguments: set[str]) -> tuple[set[str], set[int]]:
    """The arguments that a statement of the function's own suite binds anew, and where they still are the caller's.

    The places are given by the identity of the names that stand there.
    """
    rebound: set[str] = set()
    places: set[int] = set()
    waiting = set(arguments)
    for statement in function.body:
        plain = isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets)
        names = [node for node in walk(statement) if isinstance(node, ast.Name) and node.id in waiting]
        bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
        places |= {id(node) for node in names if isinstance(node.ctx, ast.Load)}
        rebound |= bound if plain else set()
        waiting -= bound
    return rebound, places


def _names(node: ast.AST, *, inside: bool) -> Iterator[tuple[ast.Name, bool]]:
    """The names below a node, and whether they stand in a nested function."""
    for child in children(node):
        if isinstance(child, ast.Name):
            yield child, inside
        yield from _names(child, inside=inside or isinstance(child, _SCOPES))


def _is_new(value: ast.expr | None) -> bool:
    """Whether an expression makes a container: a display, `dict(...)`, a copy, or one of both."""
    if isinstance(value, ast.IfExp):
        return _is_new(value.body) and _is_new(value.orelse)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return value.func.attr == "copy" and not value.args and not value.keywords
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in _MAKERS
    return isinstance(value, _DISPLAYS)


class _Uses:
    def __init__(self, function: ast.FunctionDef, summaries: Summaries, self_name: str) -> None:
        self.parents = {child: node for node in walked(function) for child in children(node)}
        self.summaries, self.self_name = summaries, self_name
        self.bound: set[str] = set()

    def keeps_it(self, node: ast.Name) -> bool:
        parent = self.parents[node]
        if not isinstance(node.ctx, ast.Load):
            made = isinstance(parent, (ast.Assign, ast.AnnAssign)) and self._makes(parent, node.id)
            self.bound |= {node.id} if made else set()
            return made
        if isinstance(parent, ast.Subscript) and parent.value is node:
            return self._item(parent)
        if isinstance(parent, ast.Attribute):
            call = self.parents[parent]
            fills = isinstance(call, ast.Call) and call.func is parent and parent.attr in FILLS
            return fills and isinstance(self.parents[call], (ast.Expr, ast.Assign))
        if isinstance(parent, ast.comprehension):
            return not isinstance(self.parents[parent], ast.GeneratorExp)  # which may run later
        if isinstance(parent, ast.For):
            return parent.iter is node
        if isinstance(parent, (ast.Starred, ast.keyword)):
            return (isinstance(parent, ast.Starred) or parent.arg is None) and self._reads(self.parents[parent], node)
        if isinstance(parent, ast.Call):
            return self._is_fresh(parent.func) and self._reads(parent, node)
        return isinstance(parent, ast.Compare) or (isinstance(parent, ast.If) and parent.test is node)

    def only_looks(self, node: ast.Name) -> bool:
        """Whether a use leaves a container as it is and hands it to nobody."""
        parent = self.parents[node]
        if isinstance(parent, ast.Attribute):
            call = self.parents[parent]
            return isinstance(call, ast.Call) and call.func is parent and parent.attr in LOOKS
        if isinstance(parent, (ast.If, ast.IfExp)):
            return parent.test is node
        if isinstance(parent, ast.Subscript):
            return parent.value is node and isinstance(parent.ctx, ast.Load)
        return isinstance(parent, ast.Compare) or (isinstance(parent, ast.Dict) and node in parent.values)

    def _is_fresh(self, function: ast.expr) -> bool:
        if isinstance(function, ast.Attribute):
            return function.attr in FRESH and self_attribute(function, self.self_name) is None
        return isinstance(function, ast.Name) and function.id in ONLY_LOOKS

    @staticmethod
    def _makes(assignment: ast.Assign | ast.AnnAssign, name: str) -> bool:
        if isinstance(assignment, ast.Assign) and len(assignment.targets) != 1:
            return False
        value = assignment.value
        sliced = isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice)
        itself = sliced and isinstance(value.value, ast.Name) and value.value.id == name  # type: ignore[union-attr]
        return itself or _is_new(value)

    def _item(self, item: ast.Subscript) -> bool:
        """`c[i] = x`, `del c[i]`, `x = c[i]`: an item changes places, and is left as it is."""
        statement = self.parents[item]
        if isinstance(item.ctx, ast.Load):
            return isinstance(statement, ast.Assign) and statement.value is item
        return isinstance(statement, (ast.Assign, ast.Delete))

    def _reads(self, call: ast.AST, node: ast.Name) -> bool:
        """Whether a call is there for its value, and leaves what it is given alone."""
        if not isinstance(call, ast.Call) or isinstance(self.parents[call], ast.Expr):
            return False
        return node.id not in changed_by_call(call, self.summaries, self.self_name)
