"""Where functions are defined: their file, its syntax tree, the class they stand in."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any

from teaspec.compiler.analysis.syntax.walking import children
from teaspec.compiler.forms.paths import names_of, owner_of
from teaspec.compiler.forms.source import SourceFile


def wrappers_of(function: Any) -> Iterator[Any]:
    """The wrappers around a function, outermost first, as `functools.wraps` leaves them."""
    while hasattr(function, "__wrapped__"):
        yield function
        function = function.__wrapped__


def owner_path(module: ModuleType, function: FunctionType) -> str | None:
    """How the class of a method is reached from its module; None where no import leads to it."""
    path = owner_of(function.__qualname__)
    if not path or "<locals>" in path:
        return None
    found: Any = module
    for part in names_of(path):
        found = getattr(found, part, None)
    own = vars(found).get(function.__name__) if isinstance(found, type) else None
    return path if own is not None and inspect.unwrap(own) is function else None


def find_definition(function: FunctionType) -> tuple[ast.FunctionDef, str] | None:
    """The definition of a function, by its file and first line, and the class it stands in."""
    code = function.__code__
    return _definitions(code.co_filename).get((code.co_name, code.co_firstlineno))


@lru_cache(maxsize=1024)
def find_readable(function: FunctionType) -> ast.FunctionDef | None:
    """The definition of a function, None also where its source cannot be read."""
    try:
        found = find_definition(function)
    except (OSError, SyntaxError):
        return None
    return found[0] if found else None


@lru_cache(maxsize=256)
def _definitions(path: str) -> dict[tuple[str, int], tuple[ast.FunctionDef, str]]:
    found: dict[tuple[str, int], tuple[Any, str]] = {}
    owners: list[tuple[ast.AST, str]] = [(syntax_tree(path), "")]
    while owners:
        parent, owner = owners.pop()
        for child in children(parent):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                found[child.name, first] = (child, owner)
            if not isinstance(child, ast.expr):  # which holds no definition
                owners.append((child, child.name if isinstance(child, ast.ClassDef) else owner))
    return found


@lru_cache(maxsize=256)
def syntax_tree(path: str) -> ast.Module:
    """The syntax tree of a file.

    Raises:
        OSError: There is no source.
        SyntaxError: It is not Python.
    """
    lines = linecache.getlines(path)
    if not lines:
        raise OSError(f"no source in {path}")
    return ast.parse("".join(lines), filename=path)


def source_file(module: ModuleType, path: str) -> SourceFile:
    """A file of a module, with what its names are bound to."""
    namespace = vars(module)
    # A package of the same name in sys.modules is what `import` gives; all else is reached through the model's file.
    modules = {
        name: value.__name__
        for name, value in namespace.items()
        if isinstance(value, ModuleType) and sys.modules.get(value.__name__) is value
    }
    parts = names_of(module.__name__)
    shown = "/".join([*parts[:-1], path.replace("\\", "/").rpartition("/")[2]])
    lines = tuple(line.rstrip("\n") for line in linecache.getlines(path))
    return SourceFile(path, shown, module.__name__, lines, modules, frozenset(namespace))
