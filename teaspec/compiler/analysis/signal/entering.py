"""What enters the first block: its call, and the parameters that hold the hidden stream."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from teaspec.compiler.analysis.flow.constants import Known
from teaspec.compiler.analysis.flow.dataflow import Reader, parameter_names
from teaspec.compiler.analysis.flow.spread import without_spreading
from teaspec.compiler.analysis.signal.direct import DirectCalls
from teaspec.compiler.analysis.signal.first_turn import first_turn
from teaspec.compiler.analysis.syntax.arguments import UnmappableArgumentError, argument_for
from teaspec.compiler.analysis.syntax.names import bound_names, calls_in_order
from teaspec.compiler.forms.source import FunctionSource, ModelSource


def stream_parameters(source: ModelSource, blocks: Sequence[ast.stmt], hidden: str) -> frozenset[str]:
    """Finds the parameters of the first block's forward that are the hidden stream as it enters the blocks.

    The runtime takes no hidden stream that is not a tensor; so a block that asks whether it is None gets to hear no.

    Args:
        source: The model's source.
        blocks: The statements of the blocks.
        hidden: Name of the hidden stream.

    Returns:
        Their names; none where no call shows that it passes the stream, or the stream is bound again before it.
    """
    model, block = source.model, source.norm.frames[0].forward
    reader = Reader.of(model, model.forward)
    found: list[frozenset[str]] = []
    for loop in _beginning(blocks[0]):
        turn = first_turn(loop, source.norm, model.forward)
        if turn is None:
            continue
        direct = DirectCalls(reader, Known(model.absent, model.forward.self_name, turn.numbers), turn.is_block)
        for call, is_entering in _calls(loop.body, hidden, True):
            called = direct.of(call)
            if called is not None:
                names = parameter_names(block.node.args) if is_entering else []
                found.append(frozenset(n for n in names if _given(n, block, called, reader, call) == hidden))
    return frozenset.intersection(*found) if found else frozenset()


def _beginning(statement: ast.stmt) -> list[ast.For]:
    """The loops that a statement begins with, one in each branch."""
    if isinstance(statement, ast.If):
        return [loop for suite in (statement.body, statement.orelse) for s in suite[:1] for loop in _beginning(s)]
    return [statement] if isinstance(statement, ast.For) else []


def _calls(suite: Sequence[ast.stmt], hidden: str, is_entering: bool) -> Iterator[tuple[ast.Call, bool]]:
    """The calls in a suite, each with whether the stream is still what it was when the suite began."""
    for statement in suite:
        for call in calls_in_order(statement):
            yield call, is_entering
        for name in ("body", "orelse", "handlers", "finalbody"):
            inner = [part for part in getattr(statement, name, []) if isinstance(part, ast.stmt)]
            yield from _calls(inner, hidden, is_entering)
        is_entering = is_entering and hidden not in bound_names([statement])


def _given(parameter: str, block: FunctionSource, call: ast.Call, reader: Reader, at: ast.Call) -> str | None:
    """The name that a call gives a parameter, None where it gives something else or does not show what."""
    positional, keywords = without_spreading(reader, call, at)
    try:
        value = argument_for(parameter, block.node.args, positional, keywords, at)
    except UnmappableArgumentError:
        return None
    return value.id if isinstance(value, ast.Name) else None
