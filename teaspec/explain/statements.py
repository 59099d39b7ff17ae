"""The statements of a function as they stand in its file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from teaspec.compiler.forms.program import Start
from teaspec.compiler.forms.source import FunctionSource


@dataclass(frozen=True)
class SourceStatement:
    """A statement, with the lines that it covers.

    Attributes:
        start: Where it begins.
        end: Its last line.
        is_compound: Whether other statements stand within it.
        is_loop: Whether it is the head of a loop.
    """

    start: Start
    end: int
    is_compound: bool
    is_loop: bool

    @property
    def line(self) -> int:
        """Where it begins in the file."""
        return self.start[0]


@dataclass(frozen=True)
class FunctionText:
    """A function's lines and statements.

    Attributes:
        first: Its first line, decorators included.
        last: Its last line.
        docstring: The lines of its docstring; empty where it has none.
        statements: Its statements and those within them, in the order of the file.
    """

    first: int
    last: int
    docstring: range
    statements: tuple[SourceStatement, ...]


def read_function(source: FunctionSource) -> FunctionText:
    """Reads a function anew from its file, as it is before anything is written out in it.

    Args:
        source: The function.
    """
    tree = ast.parse("\n".join(source.file.lines))
    found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.lineno == source.node.lineno]
    node = found[0]
    body = node.body
    docstring = range(0)
    if ast.get_docstring(node, clean=False) is not None:
        docstring = range(body[0].lineno, (body[0].end_lineno or body[0].lineno) + 1)
        body = body[1:]
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    last = node.end_lineno or node.lineno
    return FunctionText(first, last, docstring, tuple(_statements(body)))


def _statements(suite: list[ast.stmt]) -> Iterator[SourceStatement]:
    for node in suite:
        inner = sorted(_inner(node), key=lambda statement: statement.lineno)
        is_loop = isinstance(node, (ast.For, ast.While))
        yield SourceStatement((node.lineno, node.col_offset), node.end_lineno or node.lineno, bool(inner), is_loop)
        yield from _statements(inner)


def _inner(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements right within one: in its suites, its handlers and its cases."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        else:
            yield from _inner(child)
