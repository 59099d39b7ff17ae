"""The effects of statements."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from teaspec.compiler.analysis.effects.aliases import alias_sources
from teaspec.compiler.analysis.effects.calls import Known, Summaries, changed_by_call, known_in
from teaspec.compiler.analysis.effects.effects import NOTHING, Effects
from teaspec.compiler.analysis.effects.expressions import EXPRESSIONS, ExpressionReader
from teaspec.compiler.analysis.syntax.names import called_name, imported_names, root_names, target_names
from teaspec.compiler.analysis.syntax.unknown import UnknownSyntaxError
from teaspec.compiler.analysis.syntax.walking import children, walk
from teaspec.compiler.forms.places import Place

NO_SUMMARIES: Summaries = {}


def effects_of(
    statements: ast.stmt | Iterable[ast.stmt],
    summaries: Summaries = NO_SUMMARIES,
    self_name: str = "self",
) -> Effects:
    """The effects of a statement, or of statements that run one after another.

    Args:
        statements: One statement or a suite.
        summaries: What is known of functions that the statements call: by what they are called by.
        self_name: The name of the function's first parameter, the model.
    """
    reader = StatementReader(summaries, self_name)
    return reader.suite([statements] if isinstance(statements, ast.stmt) else statements)


# Each pass asks anew, for a statement and for the suites that it stands in. A statement is never changed: what rewrites
# one works on a copy. So its effects depend on the summaries of what it calls, and on nothing else.
@lru_cache(maxsize=4096)
def _read(node: ast.stmt, self_name: str, known: Known) -> Effects:
    if type(node) not in STATEMENTS:
        raise UnknownSyntaxError(node)
    return STATEMENTS[type(node)](StatementReader(dict(known), self_name), node)


class StatementReader(ExpressionReader):
    """Reads the effects of statements."""

    def suite(self, statements: Iterable[ast.stmt]) -> Effects:
        """The effects of statements that run one after the other."""
        total = NOTHING
        for statement in statements:
            total = total.then(self.statement(statement))
        return total

    def statement(self, node: ast.stmt) -> Effects:
        """The effects of one statement.

        Raises:
            UnknownSyntaxError: It is of a kind that is not known, or holds one.
        """
        return _read(node, self.self_name, known_in(node, self.summaries, self.self_name))

    def _on_nothing(self, node: ast.stmt) -> Effects:
        return NOTHING

    def _on_expr(self, node: ast.Expr) -> Effects:
        effects = self.expression(node.value)
        if isinstance(node.value, ast.Constant):
            return effects
        # A call whose value is thrown away is there for what it does. Of a list, a dict or a tensor we know what: the
        # receiver changes. Of anything else we know nothing: the arguments may change, and so may the world.
        if isinstance(node.value, ast.Call):
            return effects.then(self._bare_call(node.value))
        return effects

    def _bare_call(self, call: ast.Call) -> Effects:
        changed = changed_by_call(call, self.summaries, self.self_name)
        receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
        added = {
            (name, source) for name in changed for arg in call.args for source in alias_sources(arg, self.self_name)
        }
        if changed and receiver is not None and isinstance(receiver, ast.Name) and receiver.id in changed:
            return Effects(aliases=frozenset(added))
        if called_name(call.func, self.self_name) in self.summaries:
            return Effects(external=True)  # what it changes was read from its source
        everything = {n for arg in [*call.args, *(k.value for k in call.keywords)] for n in root_names(arg)}
        if isinstance(call.func, ast.Attribute):
            everything |= root_names(call.func.value)
        return Effects(changes=frozenset(everything - {self.self_name}), external=True)

    def _on_assign(self, node: ast.Assign) -> Effects:
        return self._assignment(node.targets, node.value)

    def _on_annassign(self, node: ast.AnnAssign) -> Effects:
        if node.value is None:
            return Effects(scoped=frozenset(target_names(node.target)))
        return self._assignment([node.target], node.value)

    def _on_augassign(self, node: ast.AugAssign) -> Effects:
        # `x += y` writes into a tensor in place and binds the name again.
        loaded = self.expression(node.value).then(self._load(node.target))
        changed = frozenset(root_names(node.target) - {self.self_name})
        return loaded.then(self._store(node.target)).then(Effects(changes=changed))

    def _on_delete(self, node: ast.Delete) -> Effects:
        total = NOTHING
        for target in node.targets:
            if isinstance(target, ast.Name):
                name = frozenset({target.id})
                total = total.then(Effects(reads=name, binds=name, unbinds=name, scoped=name))
            else:
                total = total.then(self._store(target))
        return total

    def _on_return(self, node: ast.Return) -> Effects:
        value = self.expression(node.value) if node.value else NOTHING
        return value.then(Effects(returns=True, ends=True))

    def _on_raise(self, node: ast.Raise) -> Effects:
        return self._in_parts(node).then(Effects(raises=True, ends=True))

    def _on_assert(self, node: ast.Assert) -> Effects:
        message = self.expression(node.msg).maybe() if node.msg else NOTHING
        return self.expression(node.test).then(message).then(Effects(raises=True))

    def _on_if(self, node: ast.If) -> Effects:
        return self.expression(node.test).then(self.suite(node.body).either(self.suite(node.orelse)))

    def _on_for(self, node: ast.For) -> Effects:
        targets = self._store(node.target)
        body = targets.then(self._shared(target_names(node.target), node.iter)).then(self.suite(node.body))
        return self.expression(node.iter).then(body.maybe()).then(self.suite(node.orelse).maybe())

    def _shared(self, names: Iterable[Place], value: ast.expr) -> Effects:
        """Names are bound to a value, or to what it holds."""
        sources = alias_sources(value, self.self_name)
        return Effects(aliases=frozenset((name, source) for name in names for source in sources if name != source))

    def _on_while(self, node: ast.While) -> Effects:
        return self.expression(node.test).then(self.suite(node.body).maybe()).then(self.suite(node.orelse).maybe())

    def _on_with(self, node: ast.With | ast.AsyncWith) -> Effects:
        total = NOTHING
        for item in node.items:
            total = total.then(self.expression(item.context_expr))
            if item.optional_vars is not None:
                names = target_names(item.optional_vars)
                total = total.then(self._store(item.optional_vars)).then(self._shared(names, item.context_expr))
        # The context manager may swallow an exception, so the body may stop in the middle.
        body = self.suite(node.body)
        return total.then(replace(body, kills=frozenset(), ends=False))

    def _on_try(self, node: ast.Try) -> Effects:
        total = self.suite(node.body).maybe()
        for handler in node.handlers:
            part = self.expression(handler.type) if handler.type else NOTHING
            if handler.name:
                name = frozenset({handler.name})
                part = part.then(Effects(binds=name, kills=name, unbinds=name, scoped=name))
            total = total.then(part.then(self.suite(handler.body)).maybe())
        return total.then(self.suite(node.orelse).maybe()).then(self.suite(node.finalbody))

    def _on_match(self, node: ast.Match) -> Effects:
        total = self.expression(node.subject)
        for case in node.cases:
            part = self._in_pattern(case.pattern)
            part = part.then(self._shared(part.binds, node.subject))
            if case.guard:
                part = part.then(self.expression(case.guard))
            total = total.then(part.then(self.suite(case.body)).maybe())
        return total

    def _in_pattern(self, node: ast.pattern) -> Effects:
        """What a pattern reads (values, keys, classes) and what it may bind."""
        if type(node) not in PATTERNS:
            raise UnknownSyntaxError(node)
        total = NOTHING
        for child in children(node):
            part = self._in_pattern(child) if isinstance(child, ast.pattern) else NOTHING
            total = total.then(self.expression(child) if isinstance(child, ast.expr) else part)
        names = (getattr(node, field, None) for field in PATTERNS[type(node)])
        bound = frozenset(name for name in names if name)
        return total.then(Effects(binds=bound, scoped=bound))

    def _on_import(self, node: ast.Import | ast.ImportFrom) -> Effects:
        names = frozenset(imported_names(node))
        return Effects(binds=names, kills=names, scoped=names)

    def _on_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Effects:
        arguments = node.args
        outer = [*node.decorator_list, *arguments.defaults, *(d for d in arguments.kw_defaults if d)]
        total = NOTHING
        for expression in outer:
            total = total.then(self.expression(expression))
        captured = self._captured(node)
        name = frozenset({node.name})
        return total.then(Effects(reads=captured, captures=captured - name, binds=name, kills=name, scoped=name))

    def _on_classdef(self, node: ast.ClassDef) -> Effects:
        loaded = frozenset(n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
        name = frozenset({node.name})
        return Effects(reads=loaded, captures=loaded - name, binds=name, kills=name, scoped=name, external=True)

    def _on_global(self, node: ast.Global | ast.Nonlocal) -> Effects:
        return Effects(external=True)

    def _on_typealias(self, node: ast.AST) -> Effects:
        loaded = frozenset(n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
        name = frozenset(n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        return Effects(reads=loaded, captures=loaded, binds=name, kills=name, scoped=name)


STATEMENTS: dict[type[ast.AST], Callable[[StatementReader, Any], Effects]] = {
    ast.Expr: StatementReader._on_expr,
    ast.Assign: StatementReader._on_assign,
    ast.AnnAssign: StatementReader._on_annassign,
    ast.AugAssign: StatementReader._on_augassign,
    ast.Delete: StatementReader._on_delete,
    ast.Return: StatementReader._on_return,
    ast.Raise: StatementReader._on_raise,
    ast.Assert: StatementReader._on_assert,
    ast.If: StatementReader._on_if,
    ast.For: StatementReader._on_for,
    ast.AsyncFor: StatementReader._on_for,
    ast.While: StatementReader._on_while,
    ast.With: StatementReader._on_with,
    ast.AsyncWith: StatementReader._on_with,
    ast.Try: StatementReader._on_try,
    ast.Match: StatementReader._on_match,
    ast.Import: StatementReader._on_import,
    ast.ImportFrom: StatementReader._on_import,
    ast.FunctionDef: StatementReader._on_functiondef,
    ast.AsyncFunctionDef: StatementReader._on_functiondef,
    ast.ClassDef: StatementReader._on_classdef,
    ast.Global: StatementReader._on_global,
    ast.Nonlocal: StatementReader._on_global,
    ast.Pass: StatementReader._on_nothing,
    ast.Break: StatementReader._on_nothing,
    ast.Continue: StatementReader._on_nothing,
}
"""How each kind of statement is read. What is missing here is refused: a silent default would be wrong code."""

# Python 3.11 and 3.12.
for _later, _reads in (("TryStar", StatementReader._on_try), ("TypeAlias", StatementReader._on_typealias)):
    if hasattr(ast, _later):
        STATEMENTS[getattr(ast, _later)] = _reads

PATTERNS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.MatchValue: (),
    ast.MatchSingleton: (),
    ast.MatchSequence: (),
    ast.MatchMapping: ("rest",),
    ast.MatchClass: (),
    ast.MatchStar: ("name",),
    ast.MatchAs: ("name",),
    ast.MatchOr: (),
}
"""The patterns of `match`, each with its fields that name what it binds."""


# Of a function each pass asks this first.
@lru_cache(maxsize=1024)
def unknown_syntax(node: ast.AST) -> tuple[ast.AST, ...]:
    """The nodes in a function that are of no kind that is known here."""
    kinds = (ast.expr, EXPRESSIONS), (ast.stmt, STATEMENTS), (ast.pattern, PATTERNS)
    return tuple(
        part for part in walk(node) if any(isinstance(part, base) and type(part) not in known for base, known in kinds)
    )
