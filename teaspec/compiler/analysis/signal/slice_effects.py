"""What the slice of the modulated input must not do, and how it says that it cannot be made."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from teaspec.compiler.analysis.flow.dataflow import Aliases, Reader, parameter_names
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.places import Place, attributes_in
from teaspec.compiler.forms.source import FunctionSource


class NormSliceError(Exception):
    """The modulated input cannot be computed on its own.

    Attributes:
        code: The diagnostic code.
        message: What is the matter.
        source: The function it was found in.
        node: Where in it.
    """

    def __init__(self, code: str, message: str, source: FunctionSource, node: ast.AST) -> None:
        """Says what is the matter and where."""
        super().__init__(message)
        self.code, self.message, self.source, self.node = code, message, source, node


def _refuse_foreign_contexts(source: FunctionSource, statement: ast.stmt) -> None:
    for node in walk(statement):
        items = node.items if isinstance(node, (ast.With, ast.AsyncWith)) else []
        if any(not isinstance(item.context_expr, ast.Call) for item in items):
            message = "computing the modulated input on its own would enter a context that the blocks enter too"
            raise NormSliceError("norm-slice-has-effects", message, source, node)


def copies(reader: Reader, body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Statements that copy the function's own containers which a slice fills or empties, so that it changes the copy.

    Args:
        reader: Reads effects in the function.
        body: The slice of it, which finds the containers made.
    """
    total = reader.effects(body)
    made: list[ast.stmt] = []
    for name in sorted(reader.containers & total.changes & total.reads):
        copied = ast.Call(ast.Attribute(ast.Name(name, ast.Load()), "copy", ast.Load()), [], [])
        made.append(ast.Assign(targets=[ast.Name(name, ast.Store())], value=copied))
    return [ast.fix_missing_locations(ast.copy_location(statement, body[0])) for statement in made]


def refuse_effects(reader: Reader, source: FunctionSource, body: Sequence[ast.stmt]) -> None:
    """Refuses a slice that would not leave everything as it was.

    The slice is executed besides the blocks, so whatever it does is done twice on a computed step.

    Raises:
        NormSliceError: `norm-slice-has-effects`.
    """
    every = [reader.effects(statement) for statement in body]
    aliases = Aliases(every, reader.containers)
    arguments = set(parameter_names(source.node.args)) - reader.containers
    made_here: set[Place] = set()
    computed: set[str] = set()
    for statement, effects in zip(body, every, strict=True):
        if isinstance(statement, ast.AugAssign) and getattr(statement.target, "id", None) in computed:
            continue  # writes into what arithmetic made just before
        computed -= effects.binds
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.BinOp):
            computed |= effects.kills
        made_here |= effects.kills
        _refuse_foreign_contexts(source, statement)
        changed = aliases.changed(effects.changes)
        outside = (changed - made_here) | (changed & arguments)
        stores = attributes_in(effects.binds)
        stateful = reader.called_children([statement]) & reader.module.unsettled_children
        if effects.random or outside or stores or stateful:
            what = "draw random numbers" if effects.random else "change values that the forward goes on to use"
            message = f"computing the modulated input on its own would {what}"
            raise NormSliceError("norm-slice-has-effects", message, source, statement)
