"""Rewriting of statements: other names for values, other meanings for `return`. The originals are never changed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping

from teaspec.compiler.analysis.syntax.names import called_name, outside_functions
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.called import CalledName


class _Renamer(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id in self.names:
            return ast.copy_location(ast.Name(self.names[node.id], node.ctx), node)
        return node


def renamed(statement: ast.stmt, names: Mapping[str, str]) -> ast.stmt:
    """A statement that reads other names. Only for names that the statement binds nowhere, in no inner scope either."""
    if not names:
        return statement
    result: ast.stmt = _Renamer(names).visit(copy.deepcopy(statement))
    return result


class _Returns(ast.NodeTransformer):
    def __init__(self, finished: str, dispatched: CalledName | None, target: str, self_name: str) -> None:
        self.finished, self.dispatched, self.target, self.self_name = finished, dispatched, target, self_name

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node

    def visit_Return(self, node: ast.Return) -> ast.Return:
        value = node.value or ast.copy_location(ast.Constant(None), node)
        if self.dispatched is not None and is_dispatch(value, self.dispatched, self.self_name):
            assert isinstance(value, ast.Call)
            this = ast.Name(self.self_name, ast.Load())
            made = ast.Call(ast.Name(self.target, ast.Load()), [this, *value.args], value.keywords)
        else:
            made = ast.Call(ast.Name(self.finished, ast.Load()), [value], [])
        return ast.copy_location(ast.Return(ast.copy_location(made, value)), node)


def is_dispatch(value: ast.expr | None, method: CalledName | None, self_name: str) -> bool:
    """Whether an expression is a call of a method: `self.<name>(...)` or `super().<name>(...)`."""
    return method is not None and isinstance(value, ast.Call) and called_name(value.func, self_name) == method


def returning_finished(statement: ast.stmt, finished: str) -> ast.stmt:
    """A statement whose `return x` says that the call is over before the blocks: `return Finished(x)`."""
    return dispatching(statement, finished, None, "", "self")


def dispatching(statement: ast.stmt, finished: str, method: CalledName | None, target: str, self_name: str) -> ast.stmt:
    """The same, but `return <method>(...)` goes on in `target(self, ...)`."""
    if not any(isinstance(node, ast.Return) for node in outside_functions(statement)):
        return statement
    result: ast.stmt = _Returns(finished, method, target, self_name).visit(copy.deepcopy(statement))
    return result


def marking_unbound(name: str, mark: str, at: ast.AST) -> ast.stmt:
    """`try: name; except NameError: name = MARK`: a name that may be unbound, made safe to hand over."""
    tried = ast.Expr(ast.Name(name, ast.Load()))
    marked = ast.Assign(targets=[ast.Name(name, ast.Store())], value=ast.Name(mark, ast.Load()))
    handler = ast.ExceptHandler(type=ast.Name("NameError", ast.Load()), name=None, body=[marked])
    made = ast.Try(body=[tried], handlers=[handler], orelse=[], finalbody=[])
    return _located(made, at)


def unbinding_marked(name: str, mark: str, at: ast.AST) -> ast.stmt:
    """`if name is MARK: del name`: the name is unbound again where it arrives."""
    test = ast.Compare(left=ast.Name(name, ast.Load()), ops=[ast.Is()], comparators=[ast.Name(mark, ast.Load())])
    made = ast.If(test=test, body=[ast.Delete(targets=[ast.Name(name, ast.Del())])], orelse=[])
    return _located(made, at)


def _located(made: ast.stmt, at: ast.AST) -> ast.stmt:
    for node in walk(made):
        ast.copy_location(node, at)
    return made
