"""The effects of statements."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import replace

from teaspec.compiler.analysis.calls import CallSummary, changed_by_call
from teaspec.compiler.analysis.effects import Effects
from teaspec.compiler.analysis.expression_effects import ExpressionReader, callee_name
from teaspec.compiler.analysis.names import alias_sources, root_names, target_names

NO_SUMMARIES: Mapping[str, CallSummary] = {}


def effects_of(
    statements: ast.stmt | Iterable[ast.stmt],
    summaries: Mapping[str, CallSummary] = NO_SUMMARIES,
    self_name: str = "self",
) -> Effects:
    """The effects of a statement, or of statements that run one after another.

    Args:
        statements: One statement or a suite.
        summaries: What is known of functions that the statements call: `self.method` and plain function names.
        self_name: The name of the function's first parameter, the model.
    """
    reader = StatementReader(summaries, self_name)
    return reader.suite([statements] if isinstance(statements, ast.stmt) else statements)


class StatementReader(ExpressionReader):
    """Reads the effects of statements."""

    def suite(self, statements: Iterable[ast.stmt]) -> Effects:
        """The effects of statements that run one after the other."""
        total = Effects()
        for statement in statements:
            total = total.then(self.statement(statement))
        return total

    def statement(self, node: ast.stmt) -> Effects:
        """The effects of one statement."""
        handler = getattr(self, f"_on_{type(node).__name__.lower()}", None)
        effects: Effects = handler(node) if handler else self._on_simple(node)
        return effects

    def _on_simple(self, node: ast.stmt) -> Effects:
        total = Effects()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                total = total.then(self.expression(child))
        return total

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
        if callee_name(call.func, self.self_name) in self.summaries:
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
        total = Effects()
        for target in node.targets:
            if isinstance(target, ast.Name):
                name = frozenset({target.id})
                total = total.then(Effects(reads=name, binds=name, unbinds=name, scoped=name))
            else:
                total = total.then(self._store(target))
        return total

    def _on_return(self, node: ast.Return) -> Effects:
        value = self.expression(node.value) if node.value else Effects()
        return value.then(Effects(returns=True, ends=True))

    def _on_raise(self, node: ast.Raise) -> Effects:
        return self._on_simple(node).then(Effects(raises=True, ends=True))

    def _on_assert(self, node: ast.Assert) -> Effects:
        message = self.expression(node.msg).maybe() if node.msg else Effects()
        return self.expression(node.test).then(message).then(Effects(raises=True))

    def _on_if(self, node: ast.If) -> Effects:
        return self.expression(node.test).then(self.suite(node.body).either(self.suite(node.orelse)))

    def _on_for(self, node: ast.For) -> Effects:
        targets = self._store(node.target)
        names = target_names(node.target)
        pairs = frozenset(
            (n, source) for n in names for source in alias_sources(node.iter, self.self_name) if n != source
        )
        body = targets.then(Effects(aliases=pairs)).then(self.suite(node.body))
        return self.expression(node.iter).then(body.maybe()).then(self.suite(node.orelse).maybe())

    _on_asyncfor = _on_for

    def _on_while(self, node: ast.While) -> Effects:
        return self.expression(node.test).then(self.suite(node.body).maybe()).then(self.suite(node.orelse).maybe())

    def _on_with(self, node: ast.With | ast.AsyncWith) -> Effects:
        total = Effects()
        for item in node.items:
            total = total.then(self.expression(item.context_expr))
            if item.optional_vars is not None:
                total = total.then(self._store(item.optional_vars))
        # The context manager may swallow an exception, so the body may stop in the middle.
        body = self.suite(node.body)
        return total.then(replace(body, kills=frozenset(), ends=False))

    _on_asyncwith = _on_with

    def _on_try(self, node: ast.Try) -> Effects:
        total = self.suite(node.body).maybe()
        for handler in node.handlers:
            part = self.expression(handler.type) if handler.type else Effects()
            if handler.name:
                name = frozenset({handler.name})
                part = part.then(Effects(binds=name, kills=name, unbinds=name, scoped=name))
            total = total.then(part.then(self.suite(handler.body)).maybe())
        return total.then(self.suite(node.orelse).maybe()).then(self.suite(node.finalbody))

    _on_trystar = _on_try

    def _on_match(self, node: ast.Match) -> Effects:
        total = self.expression(node.subject)
        for case in node.cases:
            bound = frozenset(
                name
                for part in ast.walk(case.pattern)
                for name in (getattr(part, "name", None), getattr(part, "rest", None))
                if name
            )
            part = self._on_pattern_values(case.pattern).then(Effects(binds=bound, scoped=bound))
            if case.guard:
                part = part.then(self.expression(case.guard))
            total = total.then(part.then(self.suite(case.body)).maybe())
        return total

    def _on_pattern_values(self, pattern: ast.pattern) -> Effects:
        total = Effects()
        for part in ast.walk(pattern):
            if isinstance(part, ast.MatchValue):
                total = total.then(self.expression(part.value))
            elif isinstance(part, ast.MatchClass):
                total = total.then(self.expression(part.cls))
        return total

    def _on_import(self, node: ast.Import | ast.ImportFrom) -> Effects:
        names = frozenset((alias.asname or alias.name).split(".")[0] for alias in node.names)
        return Effects(binds=names, kills=names, scoped=names)

    _on_importfrom = _on_import

    def _on_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Effects:
        arguments = node.args
        outer = [*node.decorator_list, *arguments.defaults, *(d for d in arguments.kw_defaults if d)]
        total = Effects()
        for expression in outer:
            total = total.then(self.expression(expression))
        captured = self._captured(node)
        name = frozenset({node.name})
        return total.then(Effects(reads=captured, captures=captured - name, binds=name, kills=name, scoped=name))

    _on_asyncfunctiondef = _on_functiondef

    def _on_classdef(self, node: ast.ClassDef) -> Effects:
        loaded = frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
        name = frozenset({node.name})
        return Effects(reads=loaded, captures=loaded - name, binds=name, kills=name, scoped=name, external=True)

    def _on_global(self, node: ast.Global | ast.Nonlocal) -> Effects:
        return Effects(external=True)

    _on_nonlocal = _on_global
