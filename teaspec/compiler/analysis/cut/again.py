"""Statements run again: what a few names need of a suite, where running that twice is certain to be right."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from teaspec.compiler.analysis.cut.block_state import BlockState
from teaspec.compiler.analysis.effects.effects import Effects
from teaspec.compiler.analysis.effects.operations import ITERATORS
from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.flow.dataflow import Reader
from teaspec.compiler.analysis.syntax.names import last_name, outside_functions, root_names, target_names
from teaspec.compiler.analysis.syntax.parallel import joined, parts_of
from teaspec.compiler.analysis.syntax.walking import children, walk
from teaspec.compiler.forms.places import Place, attributes_in, in_order

Places = frozenset[Place]


class NotAgainError(Exception):
    """A statement cannot be run a second time with certainty.

    Attributes:
        node: The statement.
        reason: Why.
    """

    def __init__(self, node: ast.AST, reason: str) -> None:
        """Says which statement, and why."""
        super().__init__(reason)
        self.node, self.reason = node, reason


class Again:
    """Cuts out of a suite what some names need of it.

    Loops keep their turns, branches their tests; what they do besides is left out.
    """

    def __init__(self, reader: Reader, changed: Places, function: Sequence[ast.stmt], state: BlockState) -> None:
        """For statements of a function.

        Args:
            reader: Reads effects in the function.
            changed: Places whose objects the suite may change in place, and what it stores on the model.
            function: The function's statements.
            state: Finds reads of what blocks leave on themselves.
        """
        self.reader, self.changed, self.state = reader, changed, state
        self.iterators = _iterators(function)
        self.nested = {n.name: n for s in function for n in walk(s) if isinstance(n, ast.FunctionDef)}
        self.leaving: Places = frozenset()
        """What is wanted where a `break` or a `continue` leads to: behind the innermost loop, or in a later turn."""

    def cut(self, suite: Sequence[ast.stmt], wanted: Places) -> tuple[list[ast.stmt], Places]:
        """What the names need.

        Args:
            suite: The statements.
            wanted: The names whose values behind the suite are wanted.

        Returns:
            The statements, and the names whose values they need from before.

        Raises:
            NotAgainError: One of them cannot be run again.
        """
        kept: list[ast.stmt] = []
        for statement in reversed(suite):
            left, wanted = self._statement(statement, wanted)
            if left is not None:
                kept.append(left)
        return kept[::-1], wanted

    def _statement(self, node: ast.stmt, wanted: Places) -> tuple[ast.stmt | None, Places]:
        if isinstance(node, (ast.Break, ast.Continue)):
            return node, self.leaving
        if isinstance(node, ast.Raise):
            return node, wanted | self.reader.effects(node).reads
        effects = self.reader.effects(node)
        if not effects.binds & wanted and not _leaves_loop(node):
            return None, wanted
        if isinstance(node, ast.If):
            return self._branches(node, wanted)
        if isinstance(node, ast.For):
            return self._for(node, wanted)
        if isinstance(node, ast.While):
            return self._while(node, wanted)
        if isinstance(node, ast.With):
            return self._with(node, wanted)
        parts = parts_of(node)
        needed = [part for part in parts if self.reader.effects(part).binds & wanted]
        if parts and len(needed) < len(parts):
            node = joined(needed, node)
            effects = self.reader.effects(node)
        self._check(node, effects)
        return node, (wanted - effects.kills) | effects.reads

    def _branches(self, node: ast.If, wanted: Places) -> tuple[ast.stmt | None, Places]:
        body, before_body = self.cut(node.body, wanted)
        orelse, before_else = self.cut(node.orelse, wanted)
        test = self._expression(node.test, node)
        left = ast.If(test=node.test, body=body or [ast.copy_location(ast.Pass(), node)], orelse=orelse)
        return ast.copy_location(left, node), ((before_body | before_else) - test.kills) | test.reads

    def _for(self, node: ast.For, wanted: Places) -> tuple[ast.stmt, Places]:
        orelse, behind = self.cut(node.orelse, wanted)
        over = self._expression(node.iter, node)
        self._check_iterated(node.iter, node)
        targets = target_names(node.target)
        body, before = self._turns(node.body, behind | wanted, lambda names: names - targets)
        left = ast.For(target=node.target, iter=node.iter, body=body, orelse=orelse)
        return ast.copy_location(left, node), before | over.reads

    def _while(self, node: ast.While, wanted: Places) -> tuple[ast.stmt, Places]:
        orelse, behind = self.cut(node.orelse, wanted)
        test = self._expression(node.test, node)
        body, before = self._turns(node.body, behind | wanted | test.reads, lambda names: names | test.reads)
        left = ast.While(test=node.test, body=body, orelse=orelse)
        return ast.copy_location(left, node), before | test.reads

    def _turns(
        self, suite: Sequence[ast.stmt], wanted: Places, entered: Callable[[Places], Places]
    ) -> tuple[list[ast.stmt], Places]:
        """What stays of a loop's body: what the names need that are wanted behind it or in a later turn."""
        around = self.leaving
        while True:
            self.leaving = wanted
            body, before = self.cut(suite, wanted)
            self.leaving = around
            more = wanted | entered(before)
            if more == wanted:
                return body or [ast.copy_location(ast.Pass(), suite[0])], wanted
            wanted = more

    def _with(self, node: ast.With, wanted: Places) -> tuple[ast.stmt, Places]:
        for item in node.items:
            call = item.context_expr
            last = call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
            last = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else last
            if last not in _CONTEXTS or item.optional_vars is not None:
                raise NotAgainError(node, "it stands in a `with` that may do more than set how torch computes")
        body, before = self.cut(node.body, wanted)
        heads = [self._expression(item.context_expr, node) for item in node.items]
        left = ast.copy_location(ast.With(items=node.items, body=body), node)
        return left, before.union(*(head.reads for head in heads))

    # What may be run again

    def _expression(self, node: ast.expr, at: ast.stmt) -> Effects:
        statement = ast.copy_location(ast.Expr(node), at)
        # A test that is a call is there for its value, unlike a bare call.
        effects = self.reader.effects(ast.copy_location(ast.Return(node), at))
        self._check(statement, effects, returns=True)
        return effects

    def _check(self, node: ast.stmt, effects: Effects, *, returns: bool = False) -> None:
        if effects.random:
            raise NotAgainError(node, "it draws random numbers")
        if effects.external or attributes_in(effects.binds):
            raise NotAgainError(node, "it changes what is seen from outside")
        if effects.changes:
            raise NotAgainError(node, "it changes a value in place")
        if effects.captures or effects.unbinds or (effects.returns and not returns):
            raise NotAgainError(node, "it does more than bind a value")
        if any(isinstance(part, (ast.Try, ast.Match, ast.Import, ast.ImportFrom)) for part in walk(node)):
            raise NotAgainError(node, "it does more than bind a value")
        if effects.reads & self.changed:
            read = in_order(effects.reads & self.changed)[0]
            raise NotAgainError(node, f"it reads `{read}`, which the blocks may change in place")
        called = self.reader.called_children([node]) | self.reader.called_items(node)
        if called & self.reader.module.stateful_children:
            raise NotAgainError(node, "it calls a submodule that changes itself")
        if self.state.runs(node):
            raise NotAgainError(node, "it takes what a block returns, be it the shape of that")
        for left, _ in self.state.reads(node):
            raise NotAgainError(node, f"it reads `{left}`, which a block may leave on itself")
        for part in outside_functions(node):
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and not self._is_pure(part.func.id):
                raise NotAgainError(node, f"it calls `{part.func.id}`, which may do more than return a value")
            if isinstance(part, ast.comprehension):
                self._check_iterated(part.iter, node)
            if isinstance(part, ast.Call):
                for argument in part.args:
                    if isinstance(argument, ast.Name):
                        self._check_iterated(argument, node)

    def _check_iterated(self, node: ast.expr, at: ast.stmt) -> None:
        names = {part.id for part in walk(node) if isinstance(part, ast.Name)} & self.iterators
        if names:
            raise NotAgainError(at, f"it iterates `{sorted(names)[0]}`, which may be iterated only once")

    def _is_pure(self, name: str) -> bool:
        """Whether what is called by that name surely does nothing but return a value, where it is a local name."""
        function = self.nested.get(name)
        if function is None:
            return name not in self.reader.locals or name in self.reader.items
        effects = effects_of(function.body, self.reader.module.summaries, self.reader.function.self_name)
        if any(self.state.runs(part) for part in function.body):
            return False
        return not (effects.external or effects.random or effects.changes or effects.captures)


def _leaves_loop(node: ast.AST) -> bool:
    """Whether a statement may leave the loop that it stands in, or this turn of it."""
    if isinstance(node, (ast.Break, ast.Continue)):
        return True
    if isinstance(node, (ast.For, ast.While, ast.FunctionDef, ast.ClassDef)):
        return any(_leaves_loop(part) for part in getattr(node, "orelse", []))
    return any(_leaves_loop(child) for child in children(node))


def _iterators(function: Sequence[ast.stmt]) -> set[str]:
    """The names that may hold what can be iterated only once."""
    found: set[str] = set()
    for node in (part for statement in function for part in walk(statement)):
        if (
            isinstance(node, (ast.Assign, ast.NamedExpr, ast.AnnAssign))
            and node.value is not None
            and _is_once(node.value)
        ):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name for target in targets for name in root_names(target)}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "next":
            found |= {name for argument in node.args[:1] for name in root_names(argument)}
    return found


def _is_once(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        name = last_name(value.func)
        return name in ITERATORS
    return any(isinstance(part, ast.GeneratorExp) for part in (value, *children(value)))


_CONTEXTS = frozenset("no_grad enable_grad inference_mode set_grad_enabled autocast nullcontext".split())
