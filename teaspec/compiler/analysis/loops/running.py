"""Whether statements run blocks: a loop over a list of blocks may only look at them, and a block needs no loop."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from teaspec.compiler.analysis.syntax.names import item_bindings, path_names, self_path, target_names
from teaspec.compiler.analysis.syntax.walking import children, walk, walked
from teaspec.compiler.forms.source import FunctionSource


def runs_in_loop(loop: ast.For, name: str, function: FunctionSource) -> bool:
    """Whether a loop over a list of blocks may run them.

    It does not where it only sets and reads what is on them (`block.cache = None`), or calls methods of theirs that are
    given nothing (`block.reset()`): no stream passes through such a loop.

    Args:
        loop: The loop, which iterates the list or takes items of it by number.
        name: The list.
        function: The function it stands in.
    """
    items = _Items(name, function)
    for target, over in item_bindings(loop.target, loop.iter):
        if not any(items.is_list(node) for node in walk(over)):
            continue
        if not isinstance(target, ast.Name):
            return True  # whatever each of these names is
        items.names.add(target.id)
    return items.run(loop.body)


def runs_item(statement: ast.stmt, name: str, function: FunctionSource) -> bool:
    """Whether a statement may run a block that it takes from the list by its place: `self.blocks[-1](x, c)`.

    A part of a block, which computes something beside the blocks, may run on every step.

    Args:
        statement: A statement of the function.
        name: The list.
        function: Where the statement stands.
    """
    return _Items(name, function, by_parts=False).run([statement])


class _Items:
    """Tells which expressions of a function are items of a list of blocks."""

    def __init__(self, name: str, function: FunctionSource, *, by_parts: bool = True) -> None:
        self.by_parts = by_parts
        self.name, self.self_name = name, function.self_name
        self.known = path_names(function.node, function.self_name)
        self.names = {
            target for node in walked(function.node) if isinstance(node, ast.Assign) and self._is_item(node.value)
            for one in node.targets for target in target_names(one)
        }  # fmt: skip

    def is_list(self, node: ast.AST) -> bool:
        path = self.known.get(node.id) if isinstance(node, ast.Name) else self_path(node, self.self_name, self.known)
        return path == self.name

    def run(self, suite: Sequence[ast.stmt]) -> bool:
        """Whether statements may call an item, or hand it to something that may."""
        return any(self._runs(statement) for statement in suite)

    def _is_item(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice) and self.is_list(node.value)

    def _runs(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Assign) and self._is_item(node.value):
            return False  # a name for it
        call = node if isinstance(node, ast.Call) else None
        given = call is not None and bool(call.args or call.keywords)
        looked_at = call is not None and isinstance(call.func, ast.Name) and call.func.id in _LOOK
        for child in children(node):
            reached = child
            while isinstance(reached, (ast.Attribute, ast.Subscript)) and not self._is_item(reached):
                reached = reached.value
            if not (self._is_item(reached) or (isinstance(reached, ast.Name) and reached.id in self.names)):
                if self._runs(child):
                    return True
                continue
            is_called = call is not None and child is call.func
            whole = isinstance(child, ast.Attribute) and child.value is reached and child.attr in _RUN
            if is_called and (reached is child or whole or (given and self.by_parts)):
                return True
            if reached is child and not is_called and not looked_at and not isinstance(node, ast.For):
                return True
        return False


_RUN = frozenset({"forward", "__call__"})
_LOOK = frozenset("len isinstance type hasattr id getattr setattr".split())
"""Functions of Python that run nothing of what they are given."""
