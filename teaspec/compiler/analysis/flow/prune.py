"""Removal of statements that cannot reach a value that is wanted."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace

from teaspec.compiler.analysis.effects.effects import Effects
from teaspec.compiler.analysis.flow.dataflow import Aliases, Reader
from teaspec.compiler.analysis.syntax.names import outside_functions
from teaspec.compiler.analysis.syntax.parallel import joined, parts_of
from teaspec.compiler.forms.places import Place

Places = frozenset[Place]


def prune(
    suite: Sequence[ast.stmt],
    reader: Reader,
    must_stay: Callable[[Effects], bool],
    aliases: Aliases | None = None,
) -> tuple[list[ast.stmt], Places]:
    """Drops what cannot reach a `return` of the suite.

    Args:
        suite: Statements that end in `return` (or fall off the end).
        reader: Reads their effects.
        must_stay: Whether a statement stays for what it does, though nothing reads what it binds.
        aliases: Which names may share an object, where statements before the suite have a say in it.

    Returns:
        What is left, and the names whose values it needs from before.
    """
    if aliases is None:
        aliases = Aliases((reader.effects(statement) for statement in suite), reader.containers)
    return _Pruner(reader, aliases, must_stay).suite(suite, frozenset())


class _Pruner:
    def __init__(self, reader: Reader, aliases: Aliases, must_stay: Callable[[Effects], bool]) -> None:
        self.reader = reader
        self.aliases = aliases
        self.must_stay = must_stay

    def suite(self, suite: Sequence[ast.stmt], live: Places) -> tuple[list[ast.stmt], Places]:
        kept: list[ast.stmt] = []
        for statement in reversed(suite):
            left, live = self.statement(statement, live)
            if left is not None:
                kept.append(left)
        return kept[::-1], live

    def statement(self, node: ast.stmt, live: Places) -> tuple[ast.stmt | None, Places]:
        if isinstance(node, ast.If):
            return self._branches(node, live)
        if isinstance(node, ast.With) and self._has_return(node):
            return self._with(node, live)
        effects = self.reader.effects(node)
        if effects.ends:
            return node, effects.reads
        if not self._matters(effects, live):
            return None, live
        parts = parts_of(node)
        wanted = [part for part in parts if self._matters(self.reader.effects(part), live)]
        if len(wanted) < len(parts):
            node = joined(wanted, node)
            effects = self.reader.effects(node)
        return node, (live - effects.kills) | effects.reads

    def _matters(self, effects: Effects, live: Places) -> bool:
        # What shares an object with a wanted value may be changed through another name.
        changed = self.aliases.changed(effects.changes)
        stays = self.must_stay(replace(effects, changes=changed))
        return effects.returns or stays or bool((effects.binds | changed) & live)

    def _branches(self, node: ast.If, live: Places) -> tuple[ast.stmt | None, Places]:
        body, live_body = self.suite(node.body, live)
        orelse, live_else = self.suite(node.orelse, live)
        only_raises = all(isinstance(s, ast.Raise) for s in [*body, *orelse])
        raises = any(isinstance(s, ast.Raise) for s in [*body, *orelse])
        test = self.reader.effects([ast.Expr(node.test)])
        if only_raises and not (raises and self.must_stay(Effects(raises=True))) and not test.binds & live:
            return None, live
        left = ast.If(test=node.test, body=body or [ast.copy_location(ast.Pass(), node)], orelse=orelse)
        return ast.copy_location(left, node), (live_body | live_else) - test.kills | test.reads

    def _with(self, node: ast.With, live: Places) -> tuple[ast.stmt | None, Places]:
        body, live_body = self.suite(node.body, live)
        left = ast.copy_location(ast.With(items=node.items, body=body), node)
        heads = self.reader.effects(ast.copy_location(ast.With(items=node.items, body=[ast.Pass()]), node))
        return left, (live_body - heads.kills) | heads.reads | live

    @staticmethod
    def _has_return(node: ast.AST) -> bool:
        return any(isinstance(part, ast.Return) for part in outside_functions(node))
