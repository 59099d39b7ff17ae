"""What one statement does to the names of the function it stands in.

Everything here is conservative in the direction that keeps code exact: a read, a binding or a change that *may* happen
is reported; a name counts as definitely bound (`kills`) only where every normal way through the statement binds it.

Attributes of the model are names too: `self.scale` is reported as the name `self.scale`, so that a store to it and a
read of it are ordered like those of any local.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from teaspec.compiler.analysis.calls import CallSummary, changed_by_call, draws_random
from teaspec.compiler.analysis.names import alias_sources, root_names, self_attribute, target_names

NO_SUMMARIES: Mapping[str, CallSummary] = {}


@dataclass(frozen=True)
class Effects:
    """The effects of a statement or of a run of statements.

    Attributes:
        reads: Names whose value from before the statement may be read.
        binds: Names that may be bound to another value (or unbound, by `del`).
        kills: Names that are bound on every normal way through.
        changes: Names whose object may be changed in place.
        captures: Names that a lambda, generator or nested function may read later than the statement runs.
        aliases: Pairs of names that may share an object afterwards.
        unbinds: Names that may be unbound (`del`, the name of an `except`).
        scoped: Every name bound anywhere inside, comprehension targets and parameters of nested functions included.
        external: It may do something that is seen from outside: a bare call, a store on the model.
        random: It may draw random numbers.
        raises: It may raise by a `raise` or `assert` of its own.
        returns: It may return from the function.
    """

    reads: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    kills: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    captures: frozenset[str] = frozenset()
    aliases: frozenset[tuple[str, str]] = frozenset()
    unbinds: frozenset[str] = frozenset()
    scoped: frozenset[str] = frozenset()
    external: bool = False
    random: bool = False
    raises: bool = False
    returns: bool = False
    ends: bool = field(default=False, compare=False)
    """Whether control never goes on behind it (it returns or raises on every way)."""

    def then(self, later: Effects) -> Effects:
        """The effects of this followed by `later`."""
        return Effects(
            reads=self.reads | (later.reads - self.kills),
            binds=self.binds | later.binds,
            kills=self.kills | later.kills,
            ends=self.ends or later.ends,
            **_merged(self, later),
        )

    def either(self, other: Effects) -> Effects:
        """The effects of one of the two, not known which."""
        if self.ends or other.ends:
            kills = (other if self.ends else self).kills if not (self.ends and other.ends) else self.kills | other.kills
        else:
            kills = self.kills & other.kills
        return Effects(
            reads=self.reads | other.reads,
            binds=self.binds | other.binds,
            kills=kills,
            ends=self.ends and other.ends,
            **_merged(self, other),
        )

    def maybe(self) -> Effects:
        """The effects of this if it may also not run, or stop in the middle."""
        return self.either(Effects())


def _merged(a: Effects, b: Effects) -> dict[str, frozenset[str] | frozenset[tuple[str, str]] | bool]:
    sets = {name: getattr(a, name) | getattr(b, name) for name in ("changes", "captures", "aliases", "unbinds", "scoped")}
    flags = {name: getattr(a, name) or getattr(b, name) for name in ("external", "random", "raises", "returns")}
    return {**sets, **flags}


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
    reader = _EffectsReader(summaries, self_name)
    return reader.suite([statements] if isinstance(statements, ast.stmt) else statements)


def effects_of_expression(
    node: ast.expr, summaries: Mapping[str, CallSummary] = NO_SUMMARIES, self_name: str = "self"
) -> Effects:
    """The effects of evaluating an expression."""
    return _EffectsReader(summaries, self_name).expression(node)


class _EffectsReader:
    def __init__(self, summaries: Mapping[str, CallSummary], self_name: str) -> None:
        self.summaries = summaries
        self.self_name = self_name

    # Statements

    def suite(self, statements: Iterable[ast.stmt]) -> Effects:
        total = Effects()
        for statement in statements:
            total = total.then(self.statement(statement))
        return total

    def statement(self, node: ast.stmt) -> Effects:
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
        added = {(name, source) for name in changed for arg in call.args for source in alias_sources(arg, self.self_name)}
        if changed and receiver is not None and isinstance(receiver, ast.Name) and receiver.id in changed:
            return Effects(aliases=frozenset(added))
        if _callee_name(call.func, self.self_name) in self.summaries:
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

    def _assignment(self, targets: list[ast.expr], value: ast.expr) -> Effects:
        effects = self.expression(value)
        sources = self._sources(value)
        for target in targets:
            effects = effects.then(self._store(target))
            names = target_names(target) | (root_names(target) if not isinstance(target, ast.Name) else set())
            pairs = {(name, source) for name in names for source in sources if name != source}
            effects = effects.then(Effects(aliases=frozenset(pairs)))
        together = sorted(name for target in targets for name in target_names(target))
        return effects.then(Effects(aliases=frozenset(zip(together, together[1:], strict=False))))

    def _sources(self, value: ast.expr) -> set[str]:
        if isinstance(value, ast.Call):
            summary = self.summaries.get(_callee_name(value.func, self.self_name))
            if summary is not None and summary.fresh:
                return set()
        return alias_sources(value, self.self_name)

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
        pairs = frozenset((n, source) for n in names for source in alias_sources(node.iter, self.self_name) if n != source)
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
        return total.then(Effects(**{**body.__dict__, "kills": frozenset(), "ends": False}))

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

    # Expressions

    def expression(self, node: ast.expr) -> Effects:
        handler = getattr(self, f"_in_{type(node).__name__.lower()}", None)
        if handler:
            effects: Effects = handler(node)
            return effects
        total = Effects()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                total = total.then(self.expression(child))
            elif isinstance(child, ast.keyword):
                total = total.then(self.expression(child.value))
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
        total = Effects()
        for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]:
            total = total.then(self.expression(default))
        captured = self._captured(node)
        return total.then(Effects(reads=captured, captures=captured, scoped=frozenset(_parameters(node.args))))

    def _in_listcomp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> Effects:
        own = {name for generator in node.generators for name in target_names(generator.target)}
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        outside = self.expression(node.generators[0].iter)  # evaluated before the comprehension's own names exist
        inner = Effects()
        for index, generator in enumerate(node.generators):
            if index:
                inner = inner.then(self.expression(generator.iter))
            for condition in generator.ifs:
                inner = inner.then(self.expression(condition))
        for part in parts:
            inner = inner.then(self.expression(part))
        walrus = inner.binds - own
        inside = Effects(
            **{
                **inner.__dict__,
                "reads": inner.reads - own,
                "binds": walrus,
                "kills": frozenset(),
                "captures": inner.captures - own,
                "scoped": inner.scoped | own,
            }
        )
        return outside.then(inside)

    _in_setcomp = _in_listcomp
    _in_dictcomp = _in_listcomp

    def _in_generatorexp(self, node: ast.GeneratorExp) -> Effects:
        effects = self._in_listcomp(node)
        return effects.then(Effects(captures=effects.reads))

    def _in_call(self, node: ast.Call) -> Effects:
        total = self._callee(node.func)
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            inner = argument.value if isinstance(argument, ast.Starred) else argument
            if isinstance(inner, ast.GeneratorExp):
                total = total.then(self._in_listcomp(inner))  # consumed by the call: nothing reads it later
            else:
                total = total.then(self.expression(inner))
        summary = self.summaries.get(_callee_name(node.func, self.self_name), CallSummary())
        changed = frozenset(changed_by_call(node, self.summaries, self.self_name))
        stores = frozenset(f"self.{name}" for name in summary.stores)
        return total.then(
            Effects(
                reads=frozenset(f"self.{name}" for name in summary.loads),
                binds=stores,
                changes=changed - {self.self_name},
                external=bool(stores) or summary.external,
                random=draws_random(node, self.self_name) or summary.random,
            )
        )

    def _callee(self, func: ast.expr) -> Effects:
        return self.expression(func)

    # Stores

    def _store(self, target: ast.expr) -> Effects:
        if isinstance(target, ast.Name):
            name = frozenset({target.id})
            return Effects(binds=name, kills=name, scoped=name)
        if isinstance(target, (ast.Tuple, ast.List)):
            total = Effects()
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
                a for n in ast.walk(target) if isinstance(n, ast.Attribute) and (a := self_attribute(n, self.self_name))
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
        return Effects()

    def _captured(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> frozenset[str]:
        body: Iterable[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
        loaded = {
            n.id for part in body for n in ast.walk(part) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
        }
        own = set(_parameters(node.args))
        if not isinstance(node, ast.Lambda):
            own |= effects_of(node.body).binds
        return frozenset(loaded - own)


def _parameters(arguments: ast.arguments) -> list[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [a.arg for a in every] + [a.arg for a in (arguments.vararg, arguments.kwarg) if a]


def _callee_name(func: ast.expr, self_name: str) -> str:
    if isinstance(func, ast.Name):
        return func.id
    return (self_attribute(func, self_name) or "") if isinstance(func, ast.Attribute) else ""
