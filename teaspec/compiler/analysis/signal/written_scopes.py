"""What the names of a function stand for that is called, in the names of the function that calls it."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, field

from teaspec.compiler.analysis.syntax.walking import walk


class UnclearError(Exception):
    """What a function does with what it is given cannot be told by its text."""


@dataclass
class Scope:
    """What the names of a function stand for that is written out.

    Attributes:
        values: Expressions of the function that all begins in; tuples of them and of keywords for `*` and `**`;
            functions; None for what is not known.
        around: The scope around it; None where that is the function that all begins in.
        foreign: Whether names that it does not hold are those of another function's module.
    """

    values: dict[str, object] = field(default_factory=dict)
    around: Scope | None = None
    foreign: bool = False

    def holds(self, name: str) -> bool:
        """Whether it is known of a name that it is one of these."""
        return name in self.values or (self.around is not None and self.around.holds(name))

    def get(self, name: str) -> object:
        """What a name stands for."""
        return self.values[name] if name in self.values or self.around is None else self.around.get(name)

    @property
    def is_foreign(self) -> bool:
        """Whether it lies in a function that is not nested in the first one."""
        return self.foreign or (self.around is not None and self.around.is_foreign)

    def copy(self) -> Scope:
        """A scope that goes its own way from here."""
        return Scope(dict(self.values), self.around, self.foreign)


TOP = Scope()


@dataclass(frozen=True)
class Callee:
    """A function that is called: its text, and where it was made."""

    node: ast.FunctionDef | ast.Lambda
    scope: Scope
    is_method: bool = False


@dataclass(frozen=True)
class Partial:
    """A function with some of its arguments, which are expressions of the function that all begins in."""

    callee: object
    args: tuple[ast.expr, ...]
    keywords: tuple[ast.keyword, ...]


def resolved(node: ast.expr, scope: Scope, local: frozenset[str]) -> ast.expr:
    """An expression in the names of the function that all begins in.

    Args:
        node: The expression.
        scope: What its names stand for.
        local: The local names of the function that all begins in.

    Raises:
        UnclearError: One of its names is not known, or it binds names itself.
    """
    if scope is TOP:
        return node
    if any(isinstance(part, _BINDING) for part in walk(node)):
        raise UnclearError
    made: ast.expr = _Resolver(scope, local).visit(copy.deepcopy(node))
    return made


_BINDING = (ast.Lambda, ast.comprehension, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)


class _Resolver(ast.NodeTransformer):
    def __init__(self, scope: Scope, local: frozenset[str]) -> None:
        self.scope, self.locals = scope, local

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if self.scope.holds(node.id):
            value = self.scope.get(node.id)
            if not isinstance(value, ast.expr):
                raise UnclearError
            return value
        if self.scope.is_foreign and node.id in self.locals:
            raise UnclearError  # a global there, a local here
        return node


def held(node: ast.expr, scope: Scope) -> object:
    """What a name stands for; None for any other expression, and for a name that the scope does not hold."""
    return scope.get(node.id) if isinstance(node, ast.Name) and scope.holds(node.id) else None
