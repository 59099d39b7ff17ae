"""Local names that hold items of a list of submodules, and nothing else."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection
from functools import lru_cache

from teaspec.compiler.analysis.syntax.names import item_bindings, parameters_of, path_names, self_path, target_names
from teaspec.compiler.analysis.syntax.walking import walked
from teaspec.compiler.forms.source import FunctionSource


def item_names(function: FunctionSource, children: Collection[str]) -> dict[str, str]:
    """The local names that loops bind to items of lists of submodules, and nothing else does; each with the path."""
    items = _iterated(function.node, function.self_name)
    return {name: path for name, path in items if path in children}


@lru_cache(maxsize=256)
def _iterated(function: ast.FunctionDef, self_name: str) -> tuple[tuple[str, str], ...]:
    """The local names that loops bind to items of one thing below the module, and nothing else does; with its path."""
    known, found = path_names(function, self_name), dict[str, set[str | None]]()
    for loop in walked(function):
        if isinstance(loop, ast.For):
            for target, over in item_bindings(loop.target, loop.iter):
                path = known.get(over.id) if isinstance(over, ast.Name) else self_path(over, self_name, known)
                for name in target_names(target):
                    found.setdefault(name, set()).add(path if isinstance(target, ast.Name) else None)
    stores = Counter(n.id for n in walked(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    given = parameters_of(function.args)
    loops = Counter(name for n in walked(function) if isinstance(n, ast.For) for name in target_names(n.target))
    return tuple(
        (name, path) for name, paths in found.items() for path in paths
        if path is not None and len(paths) == 1 and stores[name] == loops[name] and name not in given
    )  # fmt: skip
