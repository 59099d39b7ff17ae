"""The call that a call comes to: through gradient checkpointing, wrappers, functions that are handed what they call."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.flow.constants import Known, decided
from teaspec.compiler.analysis.flow.dataflow import Reader
from teaspec.compiler.analysis.flow.spread import preceding
from teaspec.compiler.analysis.signal.checkpointing import checkpointed, is_checkpointing
from teaspec.compiler.analysis.signal.written_scopes import TOP, Callee, Partial, Scope, UnclearError, held, resolved
from teaspec.compiler.analysis.syntax.names import (
    bound_names,
    calls_in_order,
    last_name,
    outside_functions,
    parameters_of,
    self_path,
)
from teaspec.compiler.analysis.syntax.walking import walk

_DEPTH = 6


class DirectCalls:
    """Finds the calls of something, whoever is asked to call it.

    Understood are gradient checkpointing (whatever has the word in its name, and takes what it calls first),
    `functools.partial`, lambdas, nested functions, wrappers that return one, and functions of the model that are handed
    what they call. Such a function may do other things behind the call, and bind names to plain values before it.
    """

    def __init__(self, reader: Reader, known: Known, wanted: Callable[[ast.expr], bool]) -> None:
        """For the calls in one function.

        Args:
            reader: Reads effects in the function.
            known: What is known there.
            wanted: Whether an expression of the function is what is looked for.
        """
        self.reader, self.known, self.wanted = reader, known, wanted
        self.self_name = reader.function.self_name
        self._at: ast.AST = reader.function.node
        self._depth = 0

    def of(self, call: ast.Call) -> ast.Call | None:
        """The call of what is wanted that a call comes to, written in the names of the function; None if it is none."""
        self._at = call
        try:
            found = self._found(call, TOP)
        except UnclearError:
            return None
        return None if found is None else ast.copy_location(found, call)

    def first_in(self, node: ast.AST) -> tuple[ast.Call, ast.Call] | None:
        """The first such call in a statement or expression: as it stands there, and what it comes to."""
        for call in calls_in_order(node):
            found = self.of(call)
            if found is not None:
                return call, found
        return None

    # Calls

    def _found(self, call: ast.Call, scope: Scope) -> ast.Call | None:
        for func in (call.func, _called(call.func)):
            if self._is_wanted(func, scope):
                args, keywords = self._arguments(call, scope)
                return ast.Call(self._resolved(func, scope), args, keywords)
        if is_checkpointing(call.func) and call.args:
            return self._found(checkpointed(call), scope)
        callee = self._callee(call.func, scope)
        if callee is None or not self._is_handed(call, callee, scope):
            return None
        return self._applied(callee, *self._arguments(call, scope))

    def _is_wanted(self, node: ast.expr, scope: Scope) -> bool:
        try:
            return self.wanted(self._resolved(node, scope))
        except UnclearError:
            return False

    def _is_handed(self, call: ast.Call, callee: object, scope: Scope) -> bool:
        """Whether it is worth a look what a function does: it is made here, or is given what is wanted."""
        if not isinstance(callee, Callee) or not callee.scope.foreign:
            return True
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        return any(self._is_wanted(_called(part), scope) or isinstance(part, ast.Lambda) for part in given)

    def _callee(self, node: ast.expr, scope: Scope) -> object:
        """What is called: a function, a partial one, or None where that is not known."""
        node = _called(node)
        if isinstance(node, ast.Lambda):
            return Callee(node, scope)
        if isinstance(node, ast.Call):
            return self._made(node, scope)
        if isinstance(node, ast.Name) and scope.holds(node.id):
            value = scope.get(node.id)
            return self._callee(value, TOP) if isinstance(value, ast.expr) else value
        if isinstance(node, ast.Name) and not scope.is_foreign and node.id in self.reader.locals:
            return self._bound_here(node.id)
        name = node.id if isinstance(node, ast.Name) else self_path(node, self.self_name)
        return self._of_module(name or "", is_method=not isinstance(node, ast.Name))

    def _of_module(self, name: str, *, is_method: bool) -> object:
        if not is_method:
            is_beside = self.reader.function.file.path == self.reader.module.forward.file.path
            summary = self.reader.module.summaries.get(name) if is_beside else None
            return None if summary is None or summary.node is None else Callee(summary.node, Scope(foreign=True))
        method = self.reader.module.methods.get(name)
        if method is None or method.file.path != self.reader.function.file.path or method.node.decorator_list:
            return None
        this = ast.Name(self.self_name, ast.Load())
        return Callee(method.node, Scope({method.self_name: this}, foreign=True), is_method=True)

    def _bound_here(self, name: str) -> object:
        """What a name of the function is bound to where the call stands, if that is a function."""
        before = preceding(self.reader.function.node.body, self._at)
        for index in reversed(range(len(before))):
            statement = before[index]
            if name not in bound_names([statement]):
                continue
            later = bound_names(before[index + 1 :])
            if isinstance(statement, ast.FunctionDef):
                fixed = {n.id for d in _defaults(statement) for n in walk(d) if isinstance(n, ast.Name)}
                return None if fixed & later or statement.decorator_list else Callee(statement, Scope())
            if not isinstance(statement, ast.Assign) or not all(isinstance(t, ast.Name) for t in statement.targets):
                return None
            read = {node.id for node in walk(statement.value) if isinstance(node, ast.Name)}
            return None if read & later else self._callee(statement.value, TOP)
        return None

    def _made(self, call: ast.Call, scope: Scope) -> object:
        """The function that a call gives: a partial one, or what a wrapper returns."""
        last = last_name(call.func)
        args, keywords = self._arguments(call, scope)
        if last == "partial" and args:
            return Partial(self._callee(args[0], TOP) or args[0], tuple(args[1:]), tuple(keywords))
        wrapper = self._callee(call.func, scope)
        if not isinstance(wrapper, Callee) or isinstance(wrapper.node, ast.Lambda):
            return None
        *body, last_one = wrapper.node.body
        if not isinstance(last_one, ast.Return) or last_one.value is None or not all(map(_is_plain, body)):
            return None
        inner = self._entered(wrapper, args, keywords)
        for statement in body:
            self._note(statement, inner)
        return self._callee(last_one.value, inner)

    # Functions that are written out

    def _applied(self, callee: object, args: list[ast.expr], keywords: list[ast.keyword]) -> ast.Call | None:
        """The call of what is wanted that a function makes, given arguments in the names of the first function."""
        if isinstance(callee, Partial):
            return self._applied(callee.callee, [*callee.args, *args], [*callee.keywords, *keywords])
        if isinstance(callee, ast.expr):
            return ast.Call(callee, args, keywords) if self.wanted(callee) else None
        if not isinstance(callee, Callee) or self._depth >= _DEPTH:
            return None
        self._depth += 1
        try:
            scope = self._entered(callee, args, keywords)
            node = callee.node
            body = [ast.Return(node.body)] if isinstance(node, ast.Lambda) else node.body
            return self._walked(body, scope)
        finally:
            self._depth -= 1

    def _walked(self, body: Sequence[ast.stmt], scope: Scope) -> ast.Call | None:
        for index, statement in enumerate(body):
            rest = body[index + 1 :]
            if isinstance(statement, ast.If):
                way = self._decided(statement.test, scope)
                if way is not None:
                    return self._walked([*(statement.body if way else statement.orelse), *rest], scope)
                ways = [self._walked([*suite, *rest], scope.copy()) for suite in (statement.body, statement.orelse)]
                if any(one is None or ast.dump(one) != ast.dump(ways[0]) for one in ways if ways[0] is not None):
                    raise UnclearError
                return ways[0]
            if not _is_plain(statement) and not isinstance(statement, ast.Return):
                raise UnclearError
            for call in [] if isinstance(statement, ast.FunctionDef) else calls_in_order(statement):
                found = self._found(call, scope)
                if found is not None and _is_sure(call, statement):
                    return found
                if found is not None:
                    raise UnclearError
            if isinstance(statement, ast.Return):
                return None
            self._note(statement, scope)
        return None

    def _decided(self, test: ast.expr, scope: Scope) -> bool | None:
        try:
            return decided(self._resolved(test, scope), self.known)
        except UnclearError:
            return None

    def _note(self, statement: ast.stmt, scope: Scope) -> None:
        """Brings what is known of names up to date behind a statement.

        Raises:
            UnclearError: It changes something in place, which may be what the wanted call is given.
        """
        stores = (n for n in outside_functions(statement) if isinstance(n, (ast.Attribute, ast.Subscript)))
        if effects_of(statement).changes or any(not isinstance(node.ctx, ast.Load) for node in stores):
            raise UnclearError
        if isinstance(statement, ast.FunctionDef):
            scope.values[statement.name] = Callee(statement, scope)
            return
        value: object = None
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            try:
                value = self._resolved(statement.value, scope) if _is_simple(statement.value) else None
                value = value or self._callee(statement.value, scope)
            except UnclearError:
                value = None
        scope.values.update(dict.fromkeys(bound_names([statement])))
        if value is not None and isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            scope.values[statement.targets[0].id] = value

    def _entered(self, function: Callee, args: Sequence[ast.expr], keywords: Sequence[ast.keyword]) -> Scope:
        """The scope of a function that is called."""
        arguments = function.node.args
        positional = [a.arg for a in [*arguments.posonlyargs, *arguments.args]][int(function.is_method) :]
        body = [] if isinstance(function.node, ast.Lambda) else function.node.body
        values: dict[str, object] = dict.fromkeys([*bound_names(body), *parameters_of(arguments)])
        values |= self._defaults_of(function)
        for index, argument in enumerate(args):
            if isinstance(argument, ast.Starred) and index < len(positional):
                raise UnclearError
        values |= dict(zip(positional, args, strict=False))
        if arguments.vararg is not None:
            values[arguments.vararg.arg] = tuple(args[len(positional) :])
        every = [*positional, *(a.arg for a in arguments.kwonlyargs)]
        named = [k for k in keywords if k.arg in every]
        values |= {str(k.arg): k.value for k in named}
        others = tuple(k for k in keywords if k not in named)
        if arguments.kwarg is not None:
            values[arguments.kwarg.arg] = others
        elif any(k.arg is None for k in others):  # it may give whatever nothing else gives
            given = {*positional[: len(args)], *(k.arg for k in named)}
            values |= dict.fromkeys(name for name in every if name not in given)
        if function.is_method:
            values[[*arguments.posonlyargs, *arguments.args][0].arg] = ast.Name(self.self_name, ast.Load())
        return Scope(values, function.scope)

    def _defaults_of(self, function: Callee) -> dict[str, object]:
        arguments = function.node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
        pairs += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None]
        return {a.arg: self._resolved(d, function.scope) for a, d in pairs if _is_simple(d)}

    # Expressions

    def _arguments(self, call: ast.Call, scope: Scope) -> tuple[list[ast.expr], list[ast.keyword]]:
        args: list[ast.expr] = []
        for argument in call.args:
            spread = held(argument.value, scope) if isinstance(argument, ast.Starred) else None
            args += spread if isinstance(spread, tuple) else [self._given(argument, scope)]
        keywords: list[ast.keyword] = []
        for keyword in call.keywords:
            spread = held(keyword.value, scope) if keyword.arg is None else None
            value = [] if isinstance(spread, tuple) else [ast.keyword(keyword.arg, self._given(keyword.value, scope))]
            keywords += spread if isinstance(spread, tuple) else value
        return args, keywords

    def _given(self, node: ast.expr, scope: Scope) -> ast.expr:
        return node if scope is TOP else self._resolved(node, scope)

    def _resolved(self, node: ast.expr, scope: Scope) -> ast.expr:
        """An expression in the names of the first function."""
        return resolved(node, scope, self.reader.locals)


def _called(func: ast.expr) -> ast.expr:
    """The module that is called by `module(...)`, `module.forward(...)` or `module.__call__(...)`."""
    return func.value if isinstance(func, ast.Attribute) and func.attr in {"forward", "__call__"} else func


def _is_plain(statement: ast.stmt) -> bool:
    """Whether a statement of a wrapper runs once, straight through."""
    return isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr, ast.FunctionDef, ast.Pass, ast.Assert))


def _is_sure(call: ast.Call, statement: ast.stmt) -> bool:
    """Whether a statement makes a call whatever its expressions choose."""
    chosen = [part for node in walk(statement) if isinstance(node, ast.IfExp) for part in (node.body, node.orelse)]
    chosen += [part for node in walk(statement) if isinstance(node, ast.BoolOp) for part in node.values[1:]]
    return not any(inner is call for part in chosen for inner in walk(part))


def _is_simple(value: ast.expr) -> bool:
    """Whether an expression means the same wherever it stands in a call."""
    if isinstance(value, ast.Attribute):
        return _is_simple(value.value)
    if isinstance(value, (ast.Tuple, ast.List)):
        return all(_is_simple(item) for item in value.elts)
    return isinstance(value, (ast.Name, ast.Constant))


def _defaults(node: ast.FunctionDef) -> list[ast.expr]:
    return [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
