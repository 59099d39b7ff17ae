"""Block loops: where a function iterates a list of blocks, itself or in a method that it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from teaspec.compiler.analysis.loops.running import runs_in_loop
from teaspec.compiler.analysis.syntax.names import (
    path_names,
    self_path,
    super_attribute,
)
from teaspec.compiler.analysis.syntax.walking import children, walk
from teaspec.compiler.forms.called import MethodName
from teaspec.compiler.forms.paths import last_of, owner_of
from teaspec.compiler.forms.source import FunctionSource, ModuleSource


@dataclass(frozen=True)
class LoopSite:
    """A loop over a list of blocks.

    Attributes:
        node: The loop.
        function: The function it stands in.
        blocks: The expression that names the list.
    """

    node: ast.For
    function: FunctionSource
    blocks: ast.expr


def iterated_lists(loop: ast.For, function: FunctionSource) -> dict[str, ast.expr]:
    """The paths below the module that a loop iterates, each with where it is named.

    Its iterable names them: lists, slices of them, `enumerate`, `zip`, `items()`. Or it counts, and takes items of them
    by what it counts.
    """
    found: dict[str, ast.expr] = {}
    known = path_names(function.node, function.self_name)
    nodes = [*_outside_len(loop.iter), *_looked_up(loop)]
    for node in nodes:
        path = (known.get(node.id) if isinstance(node, ast.Name) else None) or self_path(
            node, function.self_name, known
        )
        if path is not None:
            found.setdefault(path, node)  # type: ignore[arg-type]
            if owner_of(path) and last_of(path) in {"items", "values", "keys"}:
                found.setdefault(owner_of(path), node)  # type: ignore[arg-type]
    return found


def _outside_len(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what lies in it; of what a list is asked for its length, nothing."""
    yield node
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"):
        for child in children(node):
            yield from _outside_len(child)


def _looked_up(loop: ast.For) -> Iterator[ast.expr]:
    """What the body of a loop that counts takes items of: `blocks` in `blocks[i]`, `blocks[i : i + 2]`."""
    counting = counters(loop.target, loop.iter)
    for node in (part for statement in loop.body for part in walk(statement)) if counting else ():
        keys = walk(node.slice) if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) else ()
        if any(isinstance(part, ast.Name) and part.id in counting for part in keys):
            yield node.value  # type: ignore[attr-defined]


def counters(target: ast.expr, iterable: ast.expr) -> set[str]:
    """The targets of a loop that are bound to whole numbers in their order."""
    function = iterable.func.id if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name) else ""
    if function == "range":
        return {target.id} if isinstance(target, ast.Name) else set()
    if not isinstance(iterable, ast.Call) or not isinstance(target, ast.Tuple):
        return set()
    if function == "enumerate" and len(target.elts) == 2 and iterable.args:
        first = {target.elts[0].id} if isinstance(target.elts[0], ast.Name) else set()
        return first | counters(target.elts[1], iterable.args[0])
    pairs = zip(target.elts, iterable.args, strict=False) if function == "zip" else ()
    return {name for element, argument in pairs for name in counters(element, argument)}


def method_name(func: ast.AST, function: FunctionSource) -> MethodName | None:
    """What a module's methods have one under that an expression names, if it names one: `self.f`, `super().f`."""
    above = super_attribute(func)
    return function.supers.get(above) if above is not None else self_path(func, function.self_name)


def method_named(
    func: ast.AST, methods: Mapping[MethodName, FunctionSource], function: FunctionSource
) -> FunctionSource | None:
    """The method of a module that an expression names, if it names one."""
    name = method_name(func, function)
    return None if name is None else methods.get(name)


def called_methods(
    node: ast.AST, methods: Mapping[MethodName, FunctionSource], function: FunctionSource
) -> Iterator[tuple[MethodName, FunctionSource]]:
    """The module's own methods that a node of a function calls, or hands on to be called; each with its name."""
    for part in walk(node):
        name = method_name(part, function) if isinstance(part, ast.Attribute) else None
        if name is not None and name in methods:
            yield name, methods[name]


def reached(module: ModuleSource) -> list[FunctionSource]:
    """A module's forward and the methods that it calls, by way of others or not."""
    found = [module.forward]
    for function in found:
        called = (method for _, method in called_methods(function.node, module.methods, function))
        found += [method for method in called if all(method.node is not known.node for known in found)]
    return found


def loops_in(
    node: ast.AST,
    function: FunctionSource,
    methods: Mapping[MethodName, FunctionSource],
    seen: frozenset[MethodName] = frozenset(),
) -> Iterator[LoopSite]:
    """Every loop over something below the module, in a node and in the methods that it calls."""
    for part in walk(node):
        if isinstance(part, ast.For):
            for path, expression in iterated_lists(part, function).items():
                if path:
                    yield LoopSite(part, function, expression)
    for name, method in called_methods(node, methods, function):
        if name not in seen:
            yield from loops_in(method.node, method, methods, seen | {name})


def find_loops(
    node: ast.AST, name: str, function: FunctionSource, methods: Mapping[MethodName, FunctionSource]
) -> list[LoopSite]:
    """The loops over the list `name` that run its blocks, in a node and in the methods that it calls."""
    return [
        site
        for site in loops_in(node, function, methods)
        if iterated_lists(site.node, site.function).get(name) is site.blocks
        and runs_in_loop(site.node, name, site.function)
    ]
