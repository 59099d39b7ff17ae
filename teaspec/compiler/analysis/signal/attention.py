"""Where the normed value goes: the cut of a block's forward at the first attention.

The value that a norm returns is followed through assignments, scale and shift, helper methods, into whichever branch of
an `if`, up to the first submodule with weights (of two or more dimensions: projections, not norms or embeddings of
positions) that receives it, itself or together with it in a function. What that submodule is given is the modulated
input.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from teaspec.compiler.analysis.flow.constants import Known, decided
from teaspec.compiler.analysis.flow.dataflow import Reader, parameter_names
from teaspec.compiler.analysis.flow.spread import without_spreading
from teaspec.compiler.analysis.flow.truncate import settled
from teaspec.compiler.analysis.loops.loops import method_named
from teaspec.compiler.analysis.syntax.names import bound_names, calls_in_order, self_path, target_names
from teaspec.compiler.analysis.syntax.walking import children, walk
from teaspec.compiler.forms.source import FunctionSource, ModuleSource

FollowInto = Callable[[FunctionSource, "AttentionCut", ast.Call, FunctionSource], "ast.expr | None"]
"""Given a helper method, its cut, the call of it and the calling function: the call of the method's slice."""


@dataclass
class Trail:
    """What is known at one point of a function.

    Attributes:
        seen: Whether the norm was called.
        held: The names that hold what it returned.
        items: For a dict that holds it, the key that it was put under first.
        tensors: Names that certainly hold a tensor.
    """

    seen: bool = False
    held: set[str] = field(default_factory=set)
    items: dict[str, str] = field(default_factory=dict)
    tensors: frozenset[str] = frozenset()

    def copy(self) -> Trail:
        """A trail that goes its own way from here."""
        return Trail(self.seen, set(self.held), dict(self.items), self.tensors)


class AttentionCut:
    """Cuts one function at the first attention behind a norm.

    Attributes:
        function: A forward on the way to the norm, or a method that it calls.
        body: Its statements up to the attention, which is replaced by `return <what it receives>`.
        ends: Whether every way through them returns or raises.
        found: Whether an attention was found.
        norm_call: The norm's call, if it stands in this function.
    """

    def __init__(
        self,
        module: ModuleSource,
        function: FunctionSource,
        norm: str,
        follow: FollowInto,
        start: Trail | None = None,
        attention_input: str | None = None,
    ) -> None:
        """Cuts `function` of `module`, which calls `self.<norm>` or receives what it returned (`start`).

        Where the norm is a function, `norm` is the attention itself, which calls its input `attention_input`.
        """
        self.module, self.function, self.norm, self.follow = module, function, norm, follow
        self.attention_input = attention_input
        self.self_name = function.self_name
        self.found = False
        self.norm_call: ast.Call | None = None
        self.known = Known(module.absent, self.self_name)
        body = settled(function.node.body, lambda test: decided(test, self.known))
        self.body, self.ends = self._suite(body, start or Trail())

    def _suite(self, suite: Sequence[ast.stmt], trail: Trail) -> tuple[list[ast.stmt], bool]:
        out: list[ast.stmt] = []
        for statement in suite:
            known = replace(self.known, tensors=trail.tensors)
            way = decided(statement.test, known) if isinstance(statement, ast.If) else None
            if isinstance(statement, ast.If) and way is not None:
                taken, ends = self._suite(statement.body if way else statement.orelse, trail)
                out += taken
            else:
                left, ends = self._statement(statement, trail)
                out.append(left)
                trail.tensors -= bound_names([statement])
            if ends:
                return out, True
        return out, False

    def _statement(self, node: ast.stmt, trail: Trail) -> tuple[ast.stmt, bool]:
        if isinstance(node, ast.If):
            return self._branches(node, trail)
        if isinstance(node, ast.With):
            body, ends = self._suite(node.body, trail)
            return ast.copy_location(ast.With(items=node.items, body=body), node), ends
        compound = any(isinstance(child, ast.stmt) for child in children(node))
        received = None if compound else self._received(node, trail)
        if received is not None:
            self.found = True
            return ast.copy_location(ast.Return(value=received), node), True
        self._follow_assignments(node, trail)
        return node, isinstance(node, (ast.Return, ast.Raise))

    def _branches(self, node: ast.If, trail: Trail) -> tuple[ast.stmt, bool]:
        received = self._received(node.test, trail)
        if received is not None:
            self.found = True
            return ast.copy_location(ast.Return(value=received), node), True
        then, other = trail.copy(), trail.copy()
        body, body_ends = self._suite(node.body, then)
        orelse, else_ends = self._suite(node.orelse, other)
        going_on = [t for t, ends in ((then, body_ends), (other, else_ends)) if not ends]
        if going_on:
            trail.seen = any(t.seen for t in going_on)
            trail.held = set().union(*(t.held for t in going_on))
            trail.items = dict(set.intersection(*(set(t.items.items()) for t in going_on)))
        left = ast.copy_location(ast.If(test=node.test, body=body, orelse=orelse), node)
        return left, body_ends and else_ends

    def _received(self, node: ast.AST, trail: Trail) -> ast.expr | None:
        """What the first attention in a statement or expression is given, if there is one."""
        for call in calls_in_order(node):
            path = self_path(call.func, self.self_name)
            if path == self.norm and self.attention_input is not None:
                positional, keywords = without_spreading(Reader.of(self.module, self.function), call)
                named = [keyword.value for keyword in keywords if keyword.arg == self.attention_input]
                return next(iter([*positional, *named]), None)
            if path == self.norm:
                self.norm_call, trail.seen = call, True
                continue
            if not trail.seen:
                continue
            given = self._given(call, trail)
            held = [argument for argument in given if self._holds(argument, trail)]
            # A function that takes the submodule, too, calls it: `_chunked_feed_forward(self.ff, x)`.
            if held and any(self._has_weights(callee) for callee in (call.func, *given)):
                return held[0]
            method = method_named(call.func, self.module.methods, self.function)
            if held and method is not None:
                inside = self._inside(method, call, trail)
                if inside is not None:
                    return inside
        return None

    def _given(self, call: ast.Call, trail: Trail) -> list[ast.expr]:
        """What a call is given; of a dict that it spreads, the item that holds what the norm returned."""
        positional, keywords = without_spreading(Reader.of(self.module, self.function), call)
        return [*positional, *(self._item(k.value, trail) if k.arg is None else k.value for k in keywords)]

    @staticmethod
    def _item(spread: ast.expr, trail: Trail) -> ast.expr:
        key = trail.items.get(spread.id) if isinstance(spread, ast.Name) else None
        if key is None:
            return spread
        item = ast.copy_location(ast.Subscript(spread, ast.Constant(key), ast.Load()), spread)
        return ast.fix_missing_locations(item)

    def _has_weights(self, expression: ast.expr) -> bool:
        return self.module.children.get(self_path(expression, self.self_name) or "", False)

    def _inside(self, method: FunctionSource, call: ast.Call, trail: Trail) -> ast.expr | None:
        names = parameter_names(method.node.args)
        held = {n for n, argument in zip(names, call.args, strict=False) if self._holds(argument, trail)}
        held |= {k.arg for k in call.keywords if k.arg and self._holds(k.value, trail)}
        if method.node is self.function.node:
            return None
        cut = AttentionCut(self.module, method, self.norm, self.follow, Trail(True, held))
        return self.follow(method, cut, call, self.function) if cut.found and cut.ends else None

    def _holds(self, expression: ast.expr, trail: Trail) -> bool:
        return any(
            (isinstance(node, ast.Name) and node.id in trail.held)
            or (isinstance(node, ast.Call) and node is self.norm_call)
            for node in walk(expression)
        )

    def _follow_assignments(self, node: ast.stmt, trail: Trail) -> None:
        for part in walk(node):
            if not isinstance(part, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)) or part.value is None:
                continue
            value = part.value
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            names = {name for target in targets for name in target_names(target)}
            key = self._key(value, trail) if isinstance(value, ast.Dict) else None
            trail.items = {name: known for name, known in trail.items.items() if name not in names}
            trail.items |= dict.fromkeys(names, key) if key is not None else {}
            if self._holds(value, trail):
                trail.held |= names
            elif not isinstance(part, ast.AugAssign):
                trail.held -= names

    def _key(self, display: ast.Dict, trail: Trail) -> str | None:
        """The first key of a dict display whose item holds what the norm returned."""
        for key, value in zip(display.keys, display.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and self._holds(value, trail):
                return key.value
        return None
