"""Which names of a forward may share an object, where it is known which calls are of blocks."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from teaspec.compiler.analysis.effects.effects import Effects
from teaspec.compiler.analysis.flow.dataflow import Aliases, Reader
from teaspec.compiler.analysis.flow.trace_values import ValueTracer
from teaspec.compiler.analysis.syntax.names import target_names
from teaspec.compiler.analysis.syntax.walking import walk


def sharing(reader: Reader, statements: Sequence[ast.stmt], streams: frozenset[str], tracer: ValueTracer) -> Aliases:
    """The names that may share an object.

    What a block returns is taken for a stream that it was given, or a new one; never for its condition.

    Args:
        reader: Reads effects in the forward.
        statements: The statements of the forward.
        streams: The names of its streams.
        tracer: Knows which names hold blocks.
    """
    nodes = [node for statement in statements for node in walk(statement) if isinstance(node, ast.stmt)]
    return Aliases([_shared(reader, node, streams, tracer) for node in nodes], reader.containers)


def shared_outside_blocks(reader: Reader, statements: Sequence[ast.stmt], tracer: ValueTracer) -> Aliases:
    """The names that may share an object by what stands around the calls of blocks.

    Args:
        reader: Reads effects in the forward.
        statements: The statements of the forward.
        tracer: Knows which names hold blocks.
    """
    nodes = [node for statement in statements for node in walk(statement) if isinstance(node, ast.stmt)]
    around = [node for node in nodes if not (isinstance(node, (ast.Assign, ast.Expr)) and _calls_block(node, tracer))]
    return Aliases([_shared(reader, node, frozenset(), tracer) for node in around], reader.containers)


def _calls_block(node: ast.stmt, tracer: ValueTracer) -> bool:
    calls = [part for part in walk(node) if isinstance(part, ast.Call)]
    return any(tracer.value(part).block for call in calls for part in (call.func, *call.args))


def _shared(reader: Reader, node: ast.stmt, streams: frozenset[str], tracer: ValueTracer) -> Effects:
    """What a statement makes share an object, those within it left out."""
    if isinstance(node, (ast.If, ast.While)):
        return reader.effects(ast.copy_location(ast.Expr(node.test), node))
    if isinstance(node, ast.For):
        return reader.effects(ast.copy_location(ast.For(node.target, node.iter, [], []), node))
    if isinstance(node, ast.With):
        return reader.effects(ast.copy_location(ast.With(node.items, []), node))
    if isinstance(node, ast.Assign) and _is_given_by_block(node, streams, tracer):
        pairs = reader.effects(node).aliases
        return Effects(aliases=frozenset(pair for pair in pairs if streams.issuperset(pair)))
    return Effects() if isinstance(node, ast.Try) else reader.effects(node)


def _is_given_by_block(node: ast.Assign, streams: frozenset[str], tracer: ValueTracer) -> bool:
    """Whether a statement binds streams, and nothing else, to what a block returns."""
    names = {name for target in node.targets for name in target_names(target)}
    if not streams.issuperset(names) or not isinstance(node.value, ast.Call):
        return False
    return any(tracer.value(part).block for part in (node.value.func, *node.value.args))
