"""A helper method written out in the function that calls it, with names that clash with none of that function's."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

from teaspec.compiler.analysis.arguments import UnmappableArgumentError, argument_for
from teaspec.compiler.analysis.dataflow import parameter_names
from teaspec.compiler.analysis.loops import called_methods, find_loops
from teaspec.compiler.analysis.names import outside_functions, self_path
from teaspec.compiler.analysis.rewrite import renamed
from teaspec.compiler.analysis.search import unanalysable, without_docstring
from teaspec.compiler.analysis.statement_effects import effects_of, unknown_syntax
from teaspec.compiler.forms.source import FunctionSource, WrittenOut


def written_out(
    function: FunctionSource, methods: Mapping[str, FunctionSource], loops: Sequence[str]
) -> FunctionSource:
    """Write out the methods that a function's statements assign the result of, and that hold a block loop.

    Args:
        function: The function.
        methods: The methods of its module.
        loops: The lists of blocks.

    Returns:
        The function with the methods' statements in place of the calls, each with its own line number. Calls of methods
        whose statements would not mean the same there are left alone.
    """
    body = list(function.node.body)
    helpers: list[WrittenOut] = []
    index = 0
    if any(True for _ in unknown_syntax(function.node)):
        return function  # which is refused
    while index < len(body):
        opened = _opened(replace(function, node=_with_body(function.node, body)), index, methods, loops)
        if opened is None:
            index += 1
        else:
            method, statements = opened
            helpers.append(WrittenOut(method, body[index]))
            body[index : index + 1] = statements
    return replace(function, node=_with_body(function.node, body), written_out=tuple(helpers))


def _with_body(node: ast.FunctionDef, body: list[ast.stmt]) -> ast.FunctionDef:
    made = copy.copy(node)
    made.body = body
    return made


def _opened(
    function: FunctionSource, index: int, methods: Mapping[str, FunctionSource], loops: Sequence[str]
) -> tuple[FunctionSource, list[ast.stmt]] | None:
    """A helper with a block loop and what stands in place of a statement that assigns its result; None to leave it."""
    statement = function.node.body[index]
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
        return None
    call = statement.value
    method = methods.get(self_path(call.func, function.self_name) or "")
    if method is None or not any(find_loops(method.node, name, method, methods) for name in loops):
        return None
    if not _is_plain(method, methods) or not _means_the_same(method, function):
        return None
    parameters = parameter_names(method.node.args)
    passed = {keyword.arg for keyword in call.keywords}
    if len(call.args) > len(parameters) or not passed <= set(parameters):
        return None  # this call raises, or passes what only a running program knows
    try:
        given = {p: argument_for(p, method.node.args, call.args, call.keywords, call) for p in parameters}
    except UnmappableArgumentError:
        return None
    names = _Names(method, function, index).mapping(given)
    return method, _statements(statement, method, given, names)


def _is_plain(method: FunctionSource, methods: Mapping[str, FunctionSource]) -> bool:
    """Whether a method runs from its first statement to a `return` at its end, with names that Python's scopes show."""
    arguments, body = method.node.args, method.node.body
    returns = [part for statement in body for part in outside_functions(statement) if isinstance(part, ast.Return)]
    nested = any(isinstance(part, _BIND_OTHERWISE) for statement in body for part in ast.walk(statement))
    return (
        not method.node.decorator_list
        and not (arguments.vararg or arguments.kwarg or arguments.posonlyargs)
        and returns == [body[-1]]
        and returns[0].value is not None
        and not nested
        and not any(True for _ in (*unanalysable(method.node), *unknown_syntax(method.node)))
        and not effects_of(body, self_name=method.self_name).captures
        and not _leads_to(method, method.node.name, methods, frozenset())
    )


# What binds names in a scope of its own, or under a name that is no `ast.Name`.
_BIND_OTHERWISE = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.Import, ast.ImportFrom, ast.ExceptHandler,
    ast.Match,
)  # fmt: skip


def _leads_to(method: FunctionSource, name: str, methods: Mapping[str, FunctionSource], seen: frozenset[str]) -> bool:
    called = {m.node.name for _, m in called_methods(method.node, methods, method.self_name)} - seen
    return name in called or any(_leads_to(methods[other], name, methods, seen | called) for other in called)


def _means_the_same(method: FunctionSource, function: FunctionSource) -> bool:
    """Whether names that are no locals of the method, and private ones, mean the same in the function."""
    own = {node.id for node in ast.walk(method.node) if isinstance(node, ast.Name)} - _locals(method)
    beside = (method.file.path, method.owner) == (function.file.path, function.owner)
    bound = effects_of(method.node.body, self_name=method.self_name).binds
    return (
        beside and not method.free and not own & (_locals(function) | function.free) and method.self_name not in bound
    )


def _locals(function: FunctionSource) -> set[str]:
    scoped = effects_of(function.node.body, self_name=function.self_name).scoped
    return {function.self_name, *parameter_names(function.node.args), *scoped}


class _Names:
    """What a helper's local names are called in the function that it is written out in."""

    def __init__(self, method: FunctionSource, function: FunctionSource, index: int) -> None:
        self.method, self.function = method, function
        self.locals = _locals(method) - {method.self_name}
        self.outer = _locals(function) | {n.id for n in ast.walk(function.node) if isinstance(n, ast.Name)}
        statement = function.node.body[index]
        assert isinstance(statement, ast.Assign)
        stored = ast.copy_location(ast.Assign(targets=statement.targets, value=ast.Constant(None)), statement)
        behind = [stored, *function.node.body[index + 1 :]]
        every = effects_of(function.node.body, self_name=function.self_name)
        self.read_behind = effects_of(behind, self_name=function.self_name).reads | every.captures
        self.bound = effects_of(method.node.body, self_name=method.self_name).binds

    def mapping(self, given: Mapping[str, ast.expr]) -> dict[str, str]:
        """A new name for each local of the helper. A parameter takes the name that it is given, where it can."""
        names = {self.method.self_name: self.function.self_name}
        names |= {p: e.id for p, e in given.items() if isinstance(e, ast.Name) and self._takes_name(p, given)}
        taken = self.outer | self.locals
        for name in sorted(self.locals - set(names)):
            number, new = 1, name
            while new in (taken if number > 1 else self.outer):
                new, number = f"{name}_{number}", number + 1
            names[name] = new
            taken = taken | {new}
        return names

    def _takes_name(self, parameter: str, given: Mapping[str, ast.expr]) -> bool:
        name = given[parameter]
        if not isinstance(name, ast.Name) or name.id not in _locals(self.function):
            return False
        sharing = {p for p, e in given.items() if any(isinstance(n, ast.Name) and n.id == name.id for n in ast.walk(e))}
        if not sharing & self.bound:
            return True  # nobody binds it in the helper
        return sharing == {parameter} and name.id not in self.read_behind


def _statements(
    statement: ast.Assign, method: FunctionSource, given: Mapping[str, ast.expr], names: Mapping[str, str]
) -> list[ast.stmt]:
    *body, last = without_docstring(method.node.body)
    passed = [(ast.Name(names[p], ast.Store()), expression) for p, expression in given.items()]
    start = [ast.copy_location(ast.Assign(targets=[target], value=value), statement) for target, value in passed]
    returned = renamed(last, names)
    assert isinstance(returned, ast.Return) and returned.value is not None
    end = ast.copy_location(ast.Assign(targets=statement.targets, value=returned.value), last)
    made = [*start, *(renamed(part, names) for part in body), end]
    return [ast.fix_missing_locations(part) for part in made if not _is_identity(part)]


def _is_identity(statement: ast.stmt) -> bool:
    """`x = x`, `a, b = a, b`."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    target, value = (_parts(node) for node in (statement.targets[0], statement.value))
    names = [part.id for part in value if isinstance(part, ast.Name)]
    return len(names) == len(value) and names == [part.id for part in target if isinstance(part, ast.Name)]


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]
