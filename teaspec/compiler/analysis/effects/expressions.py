"""The effects of evaluating an expression, and of storing to a target."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from teaspec.compiler.analysis.effects.aliases import alias_sources
from teaspec.compiler.analysis.effects.calls import Summaries, changed_by_call, draws_random, summary_of
from teaspec.compiler.analysis.effects.effects import NOTHING, Effects
from teaspec.compiler.analysis.syntax.names import (
    bound_names,
    parameters_of,
    root_names,
    self_attribute,
    target_names,
)
from teaspec.compiler.analysis.syntax.parallel import parts_of
from teaspec.compiler.analysis.syntax.unknown import UnknownSyntaxError
from teaspec.compiler.analysis.syntax.walking import children, walk
from teaspec.compiler.forms.places import Place
from teaspec.compiler.forms.summary import CallSummary


class ExpressionReader:
    """Reads the effects of expressions.

    Attributes:
        summaries: What is known of functions that are called.
        self_name: The name of the module in the function.
    """

    def __init__(self, summaries: Summaries, self_name: str) -> None:
        """A reader for expressions of one function."""
        self.summaries = summaries
        self.self_name = self_name

    def expression(self, node: ast.expr) -> Effects:
        """The effects of evaluating an expression.

        Raises:
            UnknownSyntaxError: It is of a kind that is not known, or holds one.
        """
        if type(node) not in EXPRESSIONS:
            raise UnknownSyntaxError(node)
        return EXPRESSIONS[type(node)](self, node)

    def _in_parts(self, node: ast.AST) -> Effects:
        """All parts are evaluated, one after the other."""
        total = NOTHING
        for child in children(node):
            if isinstance(child, ast.expr):
                total = total.then(self.expression(child))
            elif isinstance(child, ast.keyword):
                total = total.then(self.expression(child.value))
        return total

    def _in_compare(self, node: ast.Compare) -> Effects:
        total = self.expression(node.left).then(self.expression(node.comparators[0]))
        for value in node.comparators[1:]:  # `a < b < c` looks at c only where a < b
            total = total.then(self.expression(value).maybe())
        return total

    def _in_name(self, node: ast.Name) -> Effects:
        return Effects(reads=frozenset({node.id}))

    def _in_attribute(self, node: ast.Attribute) -> Effects:
        base = self.expression(node.value)
        attribute = self_attribute(node, self.self_name)
        return base.then(Effects(reads=frozenset({attribute}))) if attribute else base

    def _in_boolop(self, node: ast.BoolOp) -> Effects:
        total = self.expression(node.values[0])
        for value in node.values[1:]:
            total = total.then(self.expression(value).maybe())
        return total

    def _in_ifexp(self, node: ast.IfExp) -> Effects:
        return self.expression(node.test).then(self.expression(node.body).either(self.expression(node.orelse)))

    def _in_namedexpr(self, node: ast.NamedExpr) -> Effects:
        return self._assignment([node.target], node.value)

    def _in_lambda(self, node: ast.Lambda) -> Effects:
        total = NOTHING
        for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]:
            total = total.then(self.expression(default))
        captured = self._captured(node)
        return total.then(Effects(reads=captured, captures=captured, scoped=frozenset(parameters_of(node.args))))

    def _in_listcomp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> Effects:
        own = {name for generator in node.generators for name in target_names(generator.target)}
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        outside = self.expression(node.generators[0].iter)  # evaluated before the comprehension's own names exist
        inner = NOTHING
        for index, generator in enumerate(node.generators):
            if index:
                inner = inner.then(self.expression(generator.iter))
            for condition in generator.ifs:
                inner = inner.then(self.expression(condition))
        for part in parts:
            inner = inner.then(self.expression(part))
        walrus = inner.binds - own
        inside = replace(
            inner,
            reads=inner.reads - own,
            binds=walrus,
            kills=frozenset(),
            captures=inner.captures - own,
            scoped=inner.scoped | own,
        )
        return outside.then(inside)

    def _in_generatorexp(self, node: ast.GeneratorExp) -> Effects:
        effects = self._in_listcomp(node)
        return effects.then(Effects(captures=effects.reads))

    def _in_call(self, node: ast.Call) -> Effects:
        total = self.expression(node.func)
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            inner = argument.value if isinstance(argument, ast.Starred) else argument
            if isinstance(inner, ast.GeneratorExp):
                total = total.then(self._in_listcomp(inner))  # consumed by the call: nothing reads it later
            else:
                total = total.then(self.expression(inner))
        summary = summary_of(node.func, self.summaries, self.self_name) or CallSummary()
        changed = frozenset(changed_by_call(node, self.summaries, self.self_name))
        return total.then(
            Effects(
                reads=summary.loads,
                binds=summary.stores,
                changes=changed - {self.self_name},
                external=bool(summary.stores) or summary.external,
                random=draws_random(node, self.self_name) or summary.random,
            )
        )

    def _assignment(self, targets: list[ast.expr], value: ast.expr) -> Effects:
        effects = self.expression(value)
        parts = parts_of(ast.Assign(targets, value)) if len(targets) == 1 else []
        if parts:  # `a, b = x, y` makes nothing of a and b that they were not before
            shared = {(t.id, s) for part in parts for t in part.targets if isinstance(t, ast.Name)
                      for s in self._sources(part.value) if s != t.id}  # fmt: skip
            return effects.then(self._store(targets[0])).then(Effects(aliases=frozenset(shared)))
        sources = self._sources(value)
        for target in targets:
            effects = effects.then(self._store(target))
            names = target_names(target) | (root_names(target) if not isinstance(target, ast.Name) else set())
            pairs = {(name, source) for name in names for source in sources if name != source}
            effects = effects.then(Effects(aliases=frozenset(pairs)))
        together = sorted(name for target in targets for name in target_names(target))
        return effects.then(Effects(aliases=frozenset(pairwise(together))))

    def _sources(self, value: ast.expr) -> set[Place]:
        if isinstance(value, ast.Call):
            summary = summary_of(value.func, self.summaries, self.self_name)
            if summary is not None and summary.fresh:
                return set()
        return alias_sources(value, self.self_name)

    # Stores

    def _store(self, target: ast.expr) -> Effects:
        if isinstance(target, ast.Name):
            name = frozenset({target.id})
            return Effects(binds=name, kills=name, scoped=name)
        if isinstance(target, (ast.Tuple, ast.List)):
            total = NOTHING
            for element in target.elts:
                total = total.then(self._store(element))
            return total
        if isinstance(target, ast.Starred):
            return self._store(target.value)
        attribute = self_attribute(target, self.self_name) if isinstance(target, ast.Attribute) else None
        if attribute:
            return Effects(binds=frozenset({attribute}), external=True)
        loaded = self._load(target)
        roots = root_names(target)
        if self.self_name in roots:
            attributes = frozenset(
                a for n in walk(target) if isinstance(n, ast.Attribute) and (a := self_attribute(n, self.self_name))
            )
            return loaded.then(Effects(binds=attributes, external=True))
        return loaded.then(Effects(changes=frozenset(roots)))

    def _load(self, target: ast.expr) -> Effects:
        if isinstance(target, ast.Name):
            return Effects(reads=frozenset({target.id}))
        if isinstance(target, ast.Subscript):
            return self.expression(target.value).then(self.expression(target.slice))
        if isinstance(target, ast.Attribute):
            return self._in_attribute(target)
        return NOTHING

    def _captured(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> frozenset[str]:
        body: Iterable[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
        loaded = {n.id for part in body for n in walk(part) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        own = set(parameters_of(node.args))
        if not isinstance(node, ast.Lambda):
            own |= bound_names(node.body)
        return frozenset(loaded - own)


EXPRESSIONS: dict[type[ast.AST], Callable[[ExpressionReader, Any], Effects]] = {
    ast.Name: ExpressionReader._in_name,
    ast.Attribute: ExpressionReader._in_attribute,
    ast.BoolOp: ExpressionReader._in_boolop,
    ast.Compare: ExpressionReader._in_compare,
    ast.IfExp: ExpressionReader._in_ifexp,
    ast.NamedExpr: ExpressionReader._in_namedexpr,
    ast.Lambda: ExpressionReader._in_lambda,
    ast.ListComp: ExpressionReader._in_listcomp,
    ast.SetComp: ExpressionReader._in_listcomp,
    ast.DictComp: ExpressionReader._in_listcomp,
    ast.GeneratorExp: ExpressionReader._in_generatorexp,
    ast.Call: ExpressionReader._in_call,
    **dict.fromkeys(
        (
            ast.Constant, ast.JoinedStr, ast.FormattedValue, ast.BinOp, ast.UnaryOp, ast.Dict, ast.Set, ast.List,
            ast.Tuple, ast.Starred, ast.Subscript, ast.Slice, ast.Await, ast.Yield, ast.YieldFrom,
        ),
        ExpressionReader._in_parts,
    ),
}  # fmt: skip
"""How each kind of expression is read. What is missing here is refused: a silent default would be wrong code."""

# Python 3.14: what a template holds is evaluated at once, as in an f-string.
for _later in ("TemplateStr", "Interpolation"):
    if hasattr(ast, _later):
        EXPRESSIONS[getattr(ast, _later)] = ExpressionReader._in_parts
