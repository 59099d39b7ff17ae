"""Where the values of a function's names come from, behind a run of its statements."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.effects.views import Pairs, view_pairs, views_in
from teaspec.compiler.analysis.flow.origins import FIXED, Level, Origin, chosen, computed, displayed, holding, joined
from teaspec.compiler.analysis.flow.patterns import capture
from teaspec.compiler.analysis.flow.trace_values import State, ValueTracer, World
from teaspec.compiler.analysis.syntax.names import (
    called_name,
    imported_names,
    outside_functions,
    parameters_of,
    root_names,
)
from teaspec.compiler.analysis.syntax.walking import children
from teaspec.compiler.forms.called import CalledName
from teaspec.compiler.forms.places import local_names

_DEPTH = 4
_TURNS = 6


class Tracer(ValueTracer):
    """Traces statements of one function.

    Attributes:
        returned: Where what it returned so far comes from, and what it depends on that it was just that.
    """

    def __init__(self, world: World, self_name: str, body: Iterable[ast.stmt], state: State, depth: int = 0) -> None:
        """A tracer for a function with the statements `body`."""
        super().__init__(world, self_name, state, depth)
        self.nested: dict[str, ast.FunctionDef] = {}
        """The functions that were defined in this one."""
        self.views: Pairs = view_pairs(body)
        self.returned: list[tuple[Origin, Level]] = []
        self._left: list[State] = []
        """The states in which the loop at hand was left by `break` or `continue`."""
        self._leaving = Level.FIXED
        """What it depends on whether the loop at hand goes on."""
        self._ending = Level.FIXED
        """What it depends on whether the function has not returned yet."""

    def run(self, suite: Iterable[ast.stmt]) -> bool:
        """Runs statements.

        Returns:
            Whether control never goes on behind them.
        """
        return any(self._statement(statement) for statement in suite)

    def _statement(self, node: ast.stmt) -> bool:
        trace = _STATEMENTS.get(type(node))
        if trace is not None:
            return bool(trace(self, node))
        self._simple(node)
        return isinstance(node, ast.Raise)

    # Statements without a suite

    def _simple(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            origin = self.value(node.value).raised(self._level())
            for target in node.targets:
                self.store(target, origin)
            self._changes(node, origin)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.store(node.target, self.value(node.value).raised(self._level()))
        elif isinstance(node, ast.AugAssign):
            self._augment(node)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self.state.pop(target.id, None)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.state.update(dict.fromkeys(imported_names(node), FIXED))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.state[node.name] = self.captured(node)
            if isinstance(node, ast.FunctionDef):
                self.nested[node.name] = node
        elif not isinstance(node, (ast.Pass, ast.Global, ast.Nonlocal)):
            values = [self.value(part) for part in children(node) if isinstance(part, ast.expr)]
            self._changes(node, self._handed_over(node, values).raised(self._level()))

    def _handed_over(self, node: ast.stmt, values: Sequence[Origin]) -> Origin:
        """What a statement changes objects by: the arguments of a call, or what a block makes of them."""
        made = computed(values)
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
            return made
        call = node.value
        given = [self.value(argument) for argument in [*call.args, *(keyword.value for keyword in call.keywords)]]
        receiver = self.value(call.func.value) if isinstance(call.func, ast.Attribute) else FIXED
        if made.level > computed([receiver, *given]).level:
            return made
        others = [origin for origin in given if origin.level is not Level.FIXED]
        return others[0] if len(others) == 1 else holding(given)

    def _augment(self, node: ast.AugAssign) -> None:
        value = self.value(node.value)
        if isinstance(node.target, ast.Name):
            old = self.state.get(node.target.id, FIXED)
            made = holding([old, value.apart]) if old.container else computed([old, value])
            self.state[node.target.id] = made.raised(self._level())
            others = views_in(self.views, {node.target.id}) - {node.target.id}
        elif isinstance(node.target, ast.Attribute):
            old = self.value(node.target)
            self.store(node.target, computed([old, value]).raised(self._level()))
            return
        else:
            self.store(node.target, value.raised(self._level()))
            return
        for name in others & self.state.keys():
            old = self.state[name]
            self.changed(name, value.raised(self._level()))
            if name not in self._surely_views({node.target.id}):
                self.state[name] = _perhaps(old, self.state[name])

    def _changes(self, node: ast.stmt, origin: Origin) -> None:
        """The objects that a statement changes in place, under all names that plainly are theirs."""
        effects = effects_of(node, self.world.summaries, self.self_name)
        stored = local_names(effects.changes) & self.state.keys()
        bare = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not self._is_in_place(node.value)
        for name in views_in(self.views, stored) & self.state.keys():
            # A block that is called for its effect changes what it likes; where it leaves a value alone, that is the
            # one that it was.
            block = bare and origin.level is Level.BLOCKS and name not in effects.binds
            old = self.state[name]
            self.changed(name, origin)
            if name not in self._surely_views(stored):
                self.state[name] = _perhaps(old, self.state[name])
            elif block and not old.container:
                self.state[name] = joined([old, self.state[name]])

    def _surely_views(self, names: set[str]) -> set[str]:
        """The names and their views, without those that were taken out of one container: these may be two objects."""
        held = {name for name, origin in self.state.items() if origin.container}
        return views_in([pair for pair in self.views if held.isdisjoint(pair)], names)

    def _is_in_place(self, call: ast.Call) -> bool:
        """Whether a call surely changes what it is called on, by its name, and nothing else: `x.add_(y)`."""
        if not isinstance(call.func, ast.Attribute) or self.self_name in root_names(call.func.value):
            return False
        name = call.func.attr
        return name.endswith("_") and not name.endswith("__") and not self.value(call.func.value).block

    def _level(self) -> Level:
        return max(self.control, self._leaving, self._ending)

    # Statements with suites

    def _if(self, node: ast.If) -> bool:
        level = self.value(node.test).level
        return self._ways(level, [lambda: self.run(node.body), lambda: self.run(node.orelse)])

    def _match(self, node: ast.Match) -> bool:
        subject = self.value(node.subject)

        def way(case: ast.match_case) -> bool:
            self._capture(case.pattern, subject)
            if case.guard is not None:
                self.value(case.guard)
            return self.run(case.body)

        level, before = Level.FIXED, dict(self.state)
        for case in node.cases:
            level = max(level, self._capture(case.pattern, subject))
            level = level if case.guard is None else max(level, self.value(case.guard).level)
        self.state = before
        ways: list[Callable[[], bool]] = [lambda case=case: way(case) for case in node.cases]  # type: ignore[misc]
        return self._ways(level, [*ways, lambda: False])

    def _capture(self, pattern: ast.pattern, origin: Origin) -> Level:
        """Binds the names of a pattern; returns what it depends on whether it matches."""

        def bind(name: str, value: Origin) -> None:
            self.store(ast.Name(name, ast.Store()), value.raised(self._level()))

        return capture(pattern, origin, self.value, bind)

    def _ways(self, level: Level, ways: Sequence[Callable[[], bool]]) -> bool:
        """One of several ways is taken, which depends on `level`."""
        before, outside = dict(self.state), self.control
        self.control = max(outside, level)
        behind: list[State] = []
        for way in ways:
            self.state = dict(before)
            if not way():
                behind.append(self.state)
        self.control = outside
        self.state = _joined_states(behind) if behind else dict(before)
        return not behind

    def _for(self, node: ast.For) -> bool:
        over = self.value(node.iter)

        def turn() -> None:
            self.store(node.target, self.item_of(node.iter).raised(self._level()))

        self._loop(turn, node.body, over.level, runs=over.block or self.captured(node).block)
        return self.run(node.orelse)

    def _while(self, node: ast.While) -> bool:
        level = self.value(node.test).level
        self._loop(lambda: self.value(node.test), node.body, level, runs=False)
        return self.run(node.orelse)

    def _loop(self, turn: Callable[[], object], body: Sequence[ast.stmt], level: Level, *, runs: bool) -> None:
        """A loop: what holds behind any number of turns; behind at least one, where it surely runs.

        Blocks are there to be run: a loop over none of them makes no model.
        """
        start, outside = dict(self.state), (self.control, self._leaving, self._left)
        self.control, self._leaving = max(self.control, level), Level.FIXED
        entered, behind = dict(start), dict(start)
        for _ in range(_TURNS):
            self.state, self._left = dict(entered), []
            turn()
            ended = self.run(body)
            behind = _joined_states([*([] if ended else [self.state]), *self._left] or [dict(entered)])
            again = _joined_states([entered, behind])
            if again == entered:
                break
            entered = again
        self.control, self._leaving, self._left = outside
        self.state = behind if runs else _joined_states([start, behind])

    def _leave(self, node: ast.stmt) -> bool:
        self._leaving = max(self._leaving, self.control)
        self._left.append(dict(self.state))
        return True

    def _with(self, node: ast.With) -> bool:
        for item in node.items:
            origin = self.value(item.context_expr)
            if item.optional_vars is not None:
                self.store(item.optional_vars, origin.raised(self._level()))
        return self.run(node.body)

    def _try(self, node: ast.Try) -> bool:
        before = dict(self.state)
        ended = self.run(node.body) or self.run(node.orelse)
        behind = [] if ended else [self.state]
        between = _joined_states([before, self.state])
        for handler in node.handlers:
            self.state = dict(between)
            if not self.run(handler.body):
                behind.append(self.state)
        self.state = _joined_states(behind) if behind else between
        return self.run(node.finalbody) or not behind

    def _return(self, node: ast.Return) -> bool:
        self.returned.append((self.value(node.value) if node.value else FIXED, self._level()))
        self._ending = self._level()
        return True

    # Functions whose source is known

    def _inside(self, node: ast.Call) -> Origin | None:
        called = called_name(node.func, self.self_name)
        function = self._function_of(called)
        if function is None or self.depth >= _DEPTH or _is_generator(function):
            return None
        around = dict(self.state) if called in self.nested and called in self.state else {}
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
        is_method = not isinstance(called, str) and not static
        every = [*function.args.posonlyargs, *function.args.args]
        this = every[0].arg if is_method and every else ""
        state = self._bound(function, node, skip=int(is_method))
        if state is None:
            return None
        own_self = self.self_name if around else "self"
        inner = Tracer(self.world, this or own_self, function.body, {**around, **state}, self.depth + 1)
        inner.control = self._level()
        if not inner.run(function.body):
            inner.returned.append((FIXED, inner.control))
        return chosen((origin for origin, _ in inner.returned), max(level for _, level in inner.returned))

    def _function_of(self, called: CalledName | None) -> ast.FunctionDef | None:
        """The function that is called, where its source is known."""
        summary = None if called is None else self.world.summaries.get(called)
        if summary is not None and called not in self.state:
            return summary.node
        return self.nested.get(called) if isinstance(called, str) else None

    def _bound(self, function: ast.FunctionDef, call: ast.Call, skip: int) -> State | None:
        """What a function's parameters are bound to by a call; None where the call does not show it."""
        if any(isinstance(argument, ast.Starred) for argument in call.args) or any(not k.arg for k in call.keywords):
            return None
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args][skip:]
        given = [self.value(argument) for argument in call.args]
        state = dict.fromkeys(parameters_of(arguments)[skip:], FIXED)
        state.update({parameter.arg: origin for parameter, origin in zip(positional, given, strict=False)})
        if arguments.vararg is not None:
            state[arguments.vararg.arg] = displayed(given[len(positional) :])
        others = []
        for keyword in call.keywords:
            origin = self.value(keyword.value)
            if keyword.arg in state:
                state[str(keyword.arg)] = origin
            else:
                others.append(origin)
        if arguments.kwarg is not None:
            state[arguments.kwarg.arg] = holding(others)
        return state


def _joined_states(states: Sequence[State]) -> State:
    """What holds behind one of several ways; a name that one of them leaves unbound is what the others make it."""
    names = {name for state in states for name in state}
    return {name: joined([state[name] for state in states if name in state]) for name in names}


def _perhaps(old: Origin, new: Origin) -> Origin:
    """The origin of a value that is changed in place if it shares memory with another, which is not certain."""
    same = old.level is new.level and not old.is_uncertain
    return new if old.container or same else joined([old.unnamed, new])


def _is_generator(function: ast.FunctionDef) -> bool:
    return any(isinstance(n, (ast.Yield, ast.YieldFrom)) for s in function.body for n in outside_functions(s))


_STATEMENTS: dict[type[ast.AST], Callable[[Tracer, Any], bool]] = {
    ast.If: Tracer._if,
    ast.For: Tracer._for,
    ast.While: Tracer._while,
    ast.With: Tracer._with,
    ast.Try: Tracer._try,
    ast.Match: Tracer._match,
    ast.Return: Tracer._return,
    ast.Break: Tracer._leave,
    ast.Continue: Tracer._leave,
}
if hasattr(ast, "TryStar"):
    _STATEMENTS[ast.TryStar] = Tracer._try
