"""Where the blocks end: with the stream in the shape in which it entered them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from teaspec.compiler.analysis.effects.containers import own_containers
from teaspec.compiler.analysis.effects.effects import Effects
from teaspec.compiler.analysis.effects.operations import RESHAPES
from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.loops.loops import find_loops
from teaspec.compiler.analysis.syntax.names import parameters_of, root_names, target_names
from teaspec.compiler.analysis.syntax.walking import children, walk
from teaspec.compiler.forms.places import Place, local_names
from teaspec.compiler.forms.source import ModuleSource


@dataclass(frozen=True)
class Extent:
    """Where the block loops of a forward stand, and which streams they thread.

    Attributes:
        model: The model's class.
        body: The statements of its forward.
        loops: The lists of blocks.
        first: Index of the first statement that holds a block loop.
        last_loop: Index of the last one.
        hidden: Name of the hidden stream.
        encoder: What the forward would call an encoder stream.
        dual: Whether that is one of the streams.
    """

    model: ModuleSource
    body: Sequence[ast.stmt]
    loops: frozenset[str]
    first: int
    last_loop: int
    hidden: str
    encoder: str
    dual: bool

    def end(self, head: int) -> int:
        """The index of the last statement of the blocks.

        That is the last one before the head that binds a stream, but for two kinds. A loop hands what a block returns
        to the next block, so the stream keeps its shape on the way through. Where it is made longer or shorter between
        the loops (FLUX.2 appends it to the text there), what stands behind them undoes that and belongs to the blocks.
        Else the blocks end before the first statement that changes its shape: text tokens that enter with the stream
        and are cut off behind the loops (Krea 2) are the postlude's business. So is what is made of the streams and of
        values from before the blocks, a skip that is added to it: it is done again on the stream that a reused step
        restores.

        A check of a list that the blocks use up by popping from it, be it an argument, belongs to them as well: where
        they do not run, it would find the list as it was.

        Args:
            head: Index of the statement that calls the head.
        """
        keeps_shape = self.hidden in self._binds(self.body[self.last_loop]) and not any(
            self._reshapes(statement) for statement in self._outside_loops(self.body[self.first : self.last_loop + 1])
        )
        between = range(self.last_loop + 1, min(head, len(self.body)))
        used_up = self._used_up()
        ends = [index for index in between if self._checks(self.body[index], used_up)]
        for index in between:
            if keeps_shape and self._reshapes(self.body[index]):
                break
            binds = self._binds(self.body[index])
            if binds & {self.hidden, self.encoder} and not (keeps_shape and self._is_done_again(self.body[index])):
                ends.append(index)
        return max(ends, default=self.last_loop)

    def _is_done_again(self, statement: ast.stmt) -> bool:
        """Whether a statement makes the hidden stream of the streams and of values of this call alone."""
        effects = self._effects([statement])
        made = self._effects(self.body[self.first : self.last_loop + 1]).binds
        given = self._effects(self.body[: self.first]).binds | {*parameters_of(self.model.forward.node.args)}
        if self.dual:
            made = made - {self.encoder}  # which a reused step restores, too
        turns = {n for part in walk(statement) if isinstance(part, ast.For) for n in target_names(part.target)}
        others = local_names(effects.reads) - {self.hidden, self.model.forward.self_name}
        others -= turns | ({"enumerate", "len", "range", "reversed", "zip"} if turns else set())
        return effects.binds - turns == {self.hidden} and bool(others) and others <= given - made

    def _checks(self, statement: ast.stmt, used_up: frozenset[Place]) -> bool:
        """Whether a statement only makes sure of something about what the blocks use up."""
        effects = self._effects([statement])
        return effects.raises and not effects.binds and bool(effects.reads & used_up)

    def _used_up(self) -> frozenset[Place]:
        """The arguments, and containers of the forward's own, that the blocks change in place, beside the streams."""
        forward = self.model.forward
        arguments = frozenset(parameters_of(forward.node.args)) - self._effects(self.body[: self.first]).binds
        own = own_containers(forward.node, self.model.summaries, forward.self_name)
        changed = self._effects(self.body[self.first : self.last_loop + 1]).changes
        return changed & (arguments | own) - {self.hidden, self.encoder}

    def _effects(self, statements: Sequence[ast.stmt]) -> Effects:
        return effects_of(statements, self.model.summaries, self.model.forward.self_name)

    def _binds(self, statement: ast.stmt) -> frozenset[Place]:
        return self._effects([statement]).binds

    def _reshapes(self, statement: ast.stmt) -> bool:
        """Whether a statement binds the hidden stream to a part of it, a longer one, or one of another form."""
        return self.hidden in self._binds(statement) and any(self.hidden in _reshaped(node) for node in walk(statement))

    def _outside_loops(self, suite: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
        """The statements without a suite of their own that stand in no loop over blocks."""
        for statement in suite:
            inner = [child for child in children(statement) if isinstance(child, ast.stmt)]
            if not inner:
                yield statement
            elif not (isinstance(statement, ast.For) and self._is_over_blocks(statement)):
                yield from self._outside_loops(inner)

    def _is_over_blocks(self, statement: ast.For) -> bool:
        model = self.model
        return any(find_loops(statement, name, model.forward, model.methods) for name in self.loops)


def _reshaped(node: ast.AST) -> frozenset[str]:
    """The names whose values come out of an expression in another shape."""
    if isinstance(node, ast.Subscript) and not isinstance(node.value, ast.Attribute):  # `x.shape[1]` is a number
        return frozenset(root_names(node.value))
    # A plain function may give back anything.
    if isinstance(node, ast.Call) and (isinstance(node.func, ast.Name) or _attribute(node.func) in RESHAPES):
        return frozenset(part.id for part in walk(node) if isinstance(part, ast.Name))
    return frozenset()


def _attribute(function: ast.expr) -> str | None:
    return function.attr if isinstance(function, ast.Attribute) else None
