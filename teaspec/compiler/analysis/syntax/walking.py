"""All nodes of a syntax tree, as `ast.walk` gives them, for analyses, which ask for nothing more often.

Contexts and operators are left out: they are four of ten nodes, and no analysis looks for them by themselves.
"""

from __future__ import annotations

import ast
from functools import lru_cache

_WITHOUT_NODES = frozenset("ctx op ops id attr arg kind conversion simple is_async level module type_comment".split())
"""The fields that hold contexts and operators, or no node of any kind."""


class _Fields(dict[type[ast.AST], tuple[str, ...]]):
    """The fields of each kind of node that may hold others."""

    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        self[kind] = tuple(field for field in kind._fields if field not in _WITHOUT_NODES)
        return self[kind]


_FIELDS = _Fields()


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node, in the order of `ast.iter_child_nodes`."""
    found: list[ast.AST] = []
    for field in _FIELDS[type(node)]:
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += [part for part in value if isinstance(part, ast.AST)]
    return found


def walk(node: ast.AST) -> list[ast.AST]:
    """A node and all that lies in it, in the order of `ast.walk`."""
    found = [node]
    for one in found:
        # As `children` does, without a call for each node.
        for field in _FIELDS[type(one)]:
            value = getattr(one, field, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += [part for part in value if isinstance(part, ast.AST)]
    return found


@lru_cache(maxsize=256)
def walked(function: ast.FunctionDef) -> tuple[ast.AST, ...]:
    """The same of a whole function, which is not changed any more: each analysis goes through it anew."""
    return tuple(walk(function))
