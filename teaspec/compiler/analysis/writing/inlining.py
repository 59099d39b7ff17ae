"""A helper method written out in the function that calls it, with names that clash with none of that function's."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from teaspec.compiler.analysis.effects.statements import effects_of, unknown_syntax
from teaspec.compiler.analysis.flow.dataflow import definitely_assigned, parameter_names
from teaspec.compiler.analysis.flow.search import unanalysable, without_docstring
from teaspec.compiler.analysis.loops.loops import called_methods, find_loops, iterated_lists, method_name
from teaspec.compiler.analysis.syntax.arguments import UnmappableArgumentError, argument_for
from teaspec.compiler.analysis.syntax.names import (
    last_name,
    outside_functions,
    self_path,
    target_names,
)
from teaspec.compiler.analysis.syntax.rewrite import renamed
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.called import MethodName
from teaspec.compiler.forms.places import local_names
from teaspec.compiler.forms.source import FunctionSource, WrittenOut


def written_out(
    function: FunctionSource, methods: Mapping[MethodName, FunctionSource], loops: Sequence[str]
) -> FunctionSource:
    """Writes out the methods that a function's statements assign or return the result of, and that hold a block loop.

    Args:
        function: A forward, or a helper that was written out in it.
        methods: The methods of its module.
        loops: The lists of blocks.

    Returns:
        The function with the methods' statements in place of the calls, each with its own line number. Calls of methods
        whose statements would not mean the same there are left alone.
    """
    if unknown_syntax(function.node):
        return function  # which is refused
    return _Writer(function, methods, loops).written()


def _with_body(node: ast.FunctionDef, body: list[ast.stmt]) -> ast.FunctionDef:
    made = copy.copy(node)
    made.body = list(body)  # which goes on changing, and a tree that was read does not
    return made


class _Writer:
    """Writes out what holds a block loop, and in a block loop what is handed the block or its number."""

    def __init__(
        self, function: FunctionSource, methods: Mapping[MethodName, FunctionSource], loops: Sequence[str]
    ) -> None:
        self.function, self.methods, self.loops = function, methods, loops
        self.helpers: list[WrittenOut] = []

    def written(self) -> FunctionSource:
        body, index = list(self.function.node.body), 0
        while index < len(body):
            self._now(body)
            behind = body[index + 1 :]
            opened = self._opened(body[index], behind, lambda method, _: self._holds_loop(method.node, method))
            if opened is None:
                body[index] = self._in_loops(body[index], behind)
                index += 1
            else:
                body[index : index + 1] = opened
        self._now(body)
        return replace(self.function, written_out=tuple(self.helpers))

    def _now(self, body: list[ast.stmt]) -> None:
        self.function = replace(self.function, node=_with_body(self.function.node, body))

    def _holds_loop(self, node: ast.AST, function: FunctionSource) -> bool:
        return any(find_loops(node, name, function, self.methods) for name in self.loops)

    def _in_loops(self, node: ast.stmt, behind: Sequence[ast.stmt], loop: ast.For | None = None) -> ast.stmt:
        """A statement, in whose loops helpers are written out that are handed what the loop goes over."""
        if isinstance(node, ast.For):
            loop, behind = node, [node, *behind]
        made = node
        for field in ("body", "orelse") if isinstance(node, (ast.For, ast.If, ast.With)) else ():
            suite = list(getattr(node, field, ()))
            changed = self._suite(suite, behind, loop)
            if changed != suite:
                made = copy.copy(made)
                setattr(made, field, changed)
        return made

    def _suite(self, suite: Sequence[ast.stmt], behind: Sequence[ast.stmt], loop: ast.For | None) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for index, statement in enumerate(suite):
            later = [*suite[index + 1 :], *behind]
            opened = self._opened(statement, later, lambda method, call: self._is_turn(method, call, loop))
            made += [self._in_loops(statement, later, loop)] if opened is None else opened
        return made

    def _is_turn(self, method: FunctionSource, call: ast.Call, loop: ast.For | None) -> bool:
        """Whether a method is handed a block, or finds one by a number that it is handed."""
        targets = set() if loop is None else target_names(loop.target)
        given = {a.id for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Name)}
        names = {part.id for part in walk(call.func) if isinstance(part, ast.Name)}
        if loop is None or not given & targets or names & targets:
            return False
        if not _binds_surely(method):
            return False  # in a later turn, an unbound name would hold what it held in an earlier one
        paths = (self_path(part, method.self_name) for part in walk(method.node) if isinstance(part, ast.Attribute))
        return any(path in self.loops for path in (*iterated_lists(loop, self.function), *paths))

    def _opened(
        self, statement: ast.stmt, behind: Sequence[ast.stmt], wanted: Callable[[FunctionSource, ast.Call], bool]
    ) -> list[ast.stmt] | None:
        """What stands in place of a statement that assigns the result of a wanted helper; None to leave it."""
        if not isinstance(statement, (ast.Assign, ast.Return)) or not isinstance(statement.value, ast.Call):
            return None
        call = statement.value
        name = method_name(call.func, self.function)
        method = None if name is None else self.methods.get(name)
        if name is None or method is None or not wanted(method, call):
            return None
        ends = isinstance(statement, ast.Return)
        if not _is_plain(name, method, self.methods, ends=ends) or not _means_the_same(method, self.function):
            return None
        parameters = parameter_names(method.node.args)
        passed = {keyword.arg for keyword in call.keywords}
        if len(call.args) > len(parameters) or not passed <= set(parameters):
            return None  # this call raises, or passes what only a running program knows
        try:
            given = {p: argument_for(p, method.node.args, call.args, call.keywords, call) for p in parameters}
        except UnmappableArgumentError:
            return None
        names = _Names(method, self.function, statement, behind).mapping(given)
        self.helpers.append(WrittenOut(method, statement, names))
        return _statements(statement, method, given, names)


def _is_plain(
    name: MethodName, method: FunctionSource, methods: Mapping[MethodName, FunctionSource], *, ends: bool
) -> bool:
    """Whether a method runs from its first statement to a `return` at its end, with names that Python's scopes show.

    Where the function `ends` with it, the method may return in its midst, too.
    """
    arguments, body = method.node.args, method.node.body
    returns = [part for statement in body for part in outside_functions(statement) if isinstance(part, ast.Return)]
    nested = any(isinstance(part, _BIND_OTHERWISE) for statement in body for part in walk(statement))
    return (
        not method.node.decorator_list
        and not (arguments.vararg or arguments.kwarg or arguments.posonlyargs)
        and returns[-1:] == [body[-1]]
        and (ends or (len(returns) == 1 and returns[0].value is not None))
        and not nested
        and not any(True for _ in (*unanalysable(method.node), *unknown_syntax(method.node)))
        and not effects_of(body, self_name=method.self_name).captures
        and not _leads_to(method, name, methods, frozenset())
    )


# What binds names in a scope of its own, or under a name that is no `ast.Name`.
_BIND_OTHERWISE = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.Import, ast.ImportFrom, ast.ExceptHandler,
    ast.Match,
)  # fmt: skip


def _leads_to(
    method: FunctionSource,
    name: MethodName,
    methods: Mapping[MethodName, FunctionSource],
    seen: frozenset[MethodName],
) -> bool:
    called = {called for called, _ in called_methods(method.node, methods, method)} - seen
    return name in called or any(_leads_to(methods[other], name, methods, seen | called) for other in called)


def _means_the_same(method: FunctionSource, function: FunctionSource) -> bool:
    """Whether names that are no locals of the method, and private ones, mean the same in the function."""
    own = {node.id for node in walk(method.node) if isinstance(node, ast.Name)} - _locals(method)
    same_class = method.owner == function.owner or not _is_private(method)
    beside = method.file.path == function.file.path and same_class
    bound = effects_of(method.node.body, self_name=method.self_name).binds
    return (
        beside and not method.free and not own & (_locals(function) | function.free) and method.self_name not in bound
    )


def _binds_surely(method: FunctionSource) -> bool:
    """Whether every name that a method binds is bound whatever way it takes."""
    each = [effects_of(part, self_name=method.self_name) for part in method.node.body]
    bound = local_names(place for one in each for place in one.binds)
    return bound <= definitely_assigned(each, parameter_names(method.node.args))


def _is_private(method: FunctionSource) -> bool:
    """Whether a method uses names that Python spells differently in each class."""
    names = (last_name(node) for node in walk(method.node) if isinstance(node, ast.expr))
    return any(name.startswith("__") and not name.endswith("__") for name in names)


def _locals(function: FunctionSource) -> set[str]:
    scoped = effects_of(function.node.body, self_name=function.self_name).scoped
    return {function.self_name, *parameter_names(function.node.args), *scoped}


class _Names:
    """What a helper's local names are called in the function that it is written out in."""

    def __init__(
        self, method: FunctionSource, function: FunctionSource, statement: ast.stmt, behind: Sequence[ast.stmt]
    ) -> None:
        self.method, self.function = method, function
        self.locals = _locals(method) - {method.self_name}
        self.outer = _locals(function) | {n.id for n in walk(function.node) if isinstance(n, ast.Name)}
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        stored = ast.copy_location(ast.Assign(targets=targets, value=ast.Constant(None)), statement)
        every = effects_of(function.node.body, self_name=function.self_name)
        self.read_behind = effects_of([stored, *behind], self_name=function.self_name).reads | every.captures
        self.bound = effects_of(method.node.body, self_name=method.self_name).binds

    def mapping(self, given: Mapping[str, ast.expr]) -> dict[str, str]:
        """A new name for each local of the helper. A parameter takes the name that it is given, where it can."""
        names = {self.method.self_name: self.function.self_name}
        names |= {p: e.id for p, e in given.items() if isinstance(e, ast.Name) and self._takes_name(p, given)}
        names |= {p: p for p in given if p not in names and self._keeps_name(p, given)}
        taken = self.outer | self.locals
        for name in sorted(self.locals - set(names)):
            number, new = 1, name
            while new in (taken if number > 1 else self.outer):
                new, number = f"{name}_{number}", number + 1
            names[name] = new
            taken = taken | {new}
        return names

    def _keeps_name(self, parameter: str, given: Mapping[str, ast.expr]) -> bool:
        """Whether nobody needs what the function calls by a parameter's name, once the parameter is bound."""
        others = [e for p, e in given.items() if p != parameter]
        needed = any(isinstance(n, ast.Name) and n.id == parameter for e in others for n in walk(e))
        return parameter in _locals(self.function) and not needed and parameter not in self.read_behind

    def _takes_name(self, parameter: str, given: Mapping[str, ast.expr]) -> bool:
        name = given[parameter]
        if not isinstance(name, ast.Name) or name.id not in _locals(self.function):
            return False
        sharing = {p for p, e in given.items() if any(isinstance(n, ast.Name) and n.id == name.id for n in walk(e))}
        if not sharing & self.bound:
            return True  # nobody binds it in the helper
        return sharing == {parameter} and name.id not in self.read_behind


def _statements(
    statement: ast.Assign | ast.Return, method: FunctionSource, given: Mapping[str, ast.expr], names: Mapping[str, str]
) -> list[ast.stmt]:
    *body, last = without_docstring(method.node.body)
    passed = [(ast.Name(names[p], ast.Store()), expression) for p, expression in given.items()]
    start = [ast.copy_location(ast.Assign(targets=[target], value=value), statement) for target, value in passed]
    returned = end = renamed(last, names)
    if isinstance(statement, ast.Assign):
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
