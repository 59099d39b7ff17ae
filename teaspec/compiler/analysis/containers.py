"""Containers of a function's own: lists, dicts and sets that it makes, fills and hands to nobody.

Filling such a container (`parts.append(x)`, `kwargs["mask"] = mask`) changes the container alone. It does not change
what it holds, and no other name is the same container; so none of the names that it shares objects with is changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from teaspec.compiler.analysis.calls import CallSummary, changed_by_call
from teaspec.compiler.analysis.names import FRESH_CALLS, parameters_of, self_attribute

_FILLING = frozenset(
    "append extend insert remove pop popitem clear sort reverse update setdefault add discard".split()
)  # fmt: skip
_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_ONLY_LOOKS = frozenset({"len", "sum"})


def own_containers(function: ast.FunctionDef, summaries: Mapping[str, CallSummary], self_name: str) -> frozenset[str]:
    """The names of a function that only ever hold a container which no other name holds.

    Every binding is a display (or a slice of the container itself), and every use fills the container, takes items out,
    spreads them into a call, or looks. What is not on this list, such as `other = parts` or `f(parts)`, might hand the
    container on.

    Args:
        function: The function.
        summaries: What is known of functions that it calls.
        self_name: The name of its first parameter.
    """
    uses = _Uses(function, summaries, self_name)
    arguments = set(parameters_of(function.args))
    kept: dict[str, bool] = {}
    for node, inside in _names(function, inside=False):
        kept[node.id] = kept.get(node.id, node.id not in arguments) and not inside and uses.keeps_it(node)
    return frozenset(name for name, keeps in kept.items() if keeps and name in uses.bound)


def _names(node: ast.AST, *, inside: bool) -> Iterator[tuple[ast.Name, bool]]:
    """The names below a node, and whether they stand in a nested function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Name):
            yield child, inside
        yield from _names(child, inside=inside or isinstance(child, _SCOPES))


class _Uses:
    def __init__(self, function: ast.FunctionDef, summaries: Mapping[str, CallSummary], self_name: str) -> None:
        self.parents = {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
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
            fills = isinstance(call, ast.Call) and call.func is parent and parent.attr in _FILLING
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

    def _is_fresh(self, function: ast.expr) -> bool:
        if isinstance(function, ast.Attribute):
            return function.attr in FRESH_CALLS and self_attribute(function, self.self_name) is None
        return isinstance(function, ast.Name) and function.id in _ONLY_LOOKS

    @staticmethod
    def _makes(assignment: ast.Assign | ast.AnnAssign, name: str) -> bool:
        if isinstance(assignment, ast.Assign) and len(assignment.targets) != 1:
            return False
        value = assignment.value
        sliced = isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice)
        itself = sliced and isinstance(value.value, ast.Name) and value.value.id == name  # type: ignore[union-attr]
        return itself or isinstance(value, _DISPLAYS)

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
