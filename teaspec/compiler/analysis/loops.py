"""Block loops: where a function iterates a list of blocks, itself or in a method that it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from teaspec.compiler.analysis.names import path_names, self_path
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
    """The paths below the module that a loop's iterable names: lists, slices of them, `enumerate`, `zip`, `items()`."""
    found: dict[str, ast.expr] = {}
    known = path_names(function.node, function.self_name)
    for node in ast.walk(loop.iter):
        path = (known.get(node.id) if isinstance(node, ast.Name) else None) or self_path(
            node, function.self_name, known
        )
        if path is not None:
            found.setdefault(path, node)  # type: ignore[arg-type]
            for method in (".items", ".values", ".keys"):
                if path.endswith(method):
                    found.setdefault(path[: -len(method)], node)  # type: ignore[arg-type]
    return found


def called_methods(
    node: ast.AST, methods: Mapping[str, FunctionSource], self_name: str
) -> Iterator[tuple[ast.Call, FunctionSource]]:
    """The calls of the module's own methods inside a node."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            path = self_path(part.func, self_name)
            if path is not None and path in methods:
                yield part, methods[path]


def reached(module: ModuleSource) -> list[FunctionSource]:
    """A module's forward and the methods that it calls, by way of others or not."""
    found = [module.forward]
    for function in found:
        called = (method for _, method in called_methods(function.node, module.methods, function.self_name))
        found += [method for method in called if all(method.node is not known.node for known in found)]
    return found


def loops_in(
    node: ast.AST,
    function: FunctionSource,
    methods: Mapping[str, FunctionSource],
    seen: frozenset[str] = frozenset(),
) -> Iterator[LoopSite]:
    """Every loop over something below the module, in a node and in the methods that it calls."""
    for part in ast.walk(node):
        if isinstance(part, ast.For):
            for path, expression in iterated_lists(part, function).items():
                if path:
                    yield LoopSite(part, function, expression)
    for _, method in called_methods(node, methods, function.self_name):
        if method.node.name not in seen:
            yield from loops_in(method.node, method, methods, seen | {method.node.name})


def find_loops(
    node: ast.AST, name: str, function: FunctionSource, methods: Mapping[str, FunctionSource]
) -> list[LoopSite]:
    """The loops over the list `name`, in a node and in the methods that it calls."""
    return [
        site
        for site in loops_in(node, function, methods)
        if name in iterated_lists(site.node, site.function)
        and site.blocks is iterated_lists(site.node, site.function)[name]
    ]
