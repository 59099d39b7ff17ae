"""What blocks leave on the model, and what comes behind them reads there.

An attribute that a block leaves on itself, or that the statements of the blocks set on the model, belongs to whatever
call ran the blocks last: on a reused step that is an earlier one, perhaps of another image.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from teaspec.compiler.analysis.cut.block_state import BlockState
from teaspec.compiler.analysis.cut.bypassed import of_a_cut_call
from teaspec.compiler.analysis.effects.operations import CHANGES
from teaspec.compiler.analysis.flow.constants import Known, decided
from teaspec.compiler.analysis.flow.dataflow import Reader
from teaspec.compiler.analysis.syntax.names import last_name, outside_functions, path_names, self_path
from teaspec.compiler.forms.paths import first_of
from teaspec.compiler.forms.places import Attribute, attributes_in, local_names


@dataclass(frozen=True)
class LeftBehind:
    """An attribute that the blocks leave and the postlude reads.

    Attributes:
        read: What is read, as the model's source has it.
        reader: The statement behind the blocks that reads it, or leads to where it is read; None where it is left for
            whoever reads it behind the call.
        left: Where it is left: a statement of the blocks, or the class of the block.
    """

    read: str
    reader: ast.stmt | None
    left: ast.AST


def left_behind(
    reader: Reader,
    blocks: Sequence[ast.stmt],
    postlude: Sequence[ast.stmt],
    state: BlockState,
    bypass: Sequence[str],
    held: Mapping[Attribute, ast.stmt],
) -> LeftBehind | None:
    """Finds an attribute that the blocks leave on the model, or on themselves and the postlude reads.

    What the blocks leave on the model would be missing behind a reused step, or be that of another call.

    Args:
        reader: Reads effects in the forward.
        blocks: The statements of the blocks.
        postlude: The statements behind them.
        state: Finds reads of what blocks leave on themselves.
        bypass: The rules by which calls pass by the cache: such a call never reuses anything.
        held: Attributes that the prelude sets, and statements of the blocks that change what they hold.
    """
    known = of_a_cut_call(reader, bypass)
    stored = {**held, **_stored(reader, list(_reached(blocks, known)))}
    statements = list(_reached(postlude, known))
    for statement in statements:
        for attribute in sorted(attributes_in(reader.effects(statement).reads) & stored.keys()):
            return LeftBehind(str(attribute), statement, stored[attribute])
    for statement in statements:
        for read, left in state.reads(statement):
            return LeftBehind(read, statement, left or blocks[0])
    return next((LeftBehind(str(left), None, statement) for left, statement in stored.items()), None)


def _reached(suite: Sequence[ast.stmt], known: Known) -> Iterator[ast.stmt]:
    """The parts of a suite that may be executed: statements without suites of their own, and the heads of others."""
    for statement in suite:
        heads = _heads(statement)
        if heads is None:
            yield statement
            continue
        way = decided(statement.test, known) if isinstance(statement, ast.If) else None
        # A test is there for its value, unlike a bare call.
        yield from (ast.copy_location(ast.Return(head), head) for head in heads)
        yield from _reached(statement.body if way is not False else [], known)  # type: ignore[attr-defined]
        yield from _reached(statement.orelse if way is not True else [], known) if hasattr(statement, "orelse") else ()


def _heads(statement: ast.stmt) -> list[ast.expr] | None:
    """What a statement with a suite evaluates before that; None for any other statement."""
    if isinstance(statement, (ast.If, ast.While)):
        return [statement.test]
    if isinstance(statement, ast.For):
        return [statement.iter]
    return [item.context_expr for item in statement.items] if isinstance(statement, ast.With) else None


def _stored(reader: Reader, blocks: Sequence[ast.stmt]) -> dict[Attribute, ast.stmt]:
    """The attributes of the model that statements set or change in place, each with the last that does so."""
    known = path_names(reader.function.node, reader.function.self_name)
    found: dict[Attribute, ast.stmt] = {}
    for statement in blocks:
        effects = reader.effects(statement)
        held = {Attribute(first_of(known[name])) for name in local_names(effects.changes) & known.keys()}
        attributes = {*attributes_in(effects.binds), *held, *_changed_attributes(statement, reader)}
        found |= dict.fromkeys(attributes, statement)
    return found


def _changed_attributes(statement: ast.stmt, reader: Reader) -> Iterator[Attribute]:
    """`self.losses.append(x)`, `self.buffer[0] = x`, `update(self.losses)`."""
    self_name = reader.function.self_name
    bare = statement.value if isinstance(statement, ast.Expr) else None
    for node in outside_functions(statement):
        if not isinstance(node, ast.Call):
            continue
        if last_name(node.func) in _SETTERS:
            names = [part.value for part in node.args if isinstance(part, ast.Constant)]
            yield from (Attribute(name) for name in names[:1] if isinstance(name, str))
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        last = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        changed = [receiver] if receiver is not None and (last in CHANGES or last.endswith("_")) else []
        changed += [*node.args, *(keyword.value for keyword in node.keywords)] if node is bare else []
        for part in changed:
            path = self_path(part, self_name) if part is not None else None
            if path is not None and path not in reader.module.children:
                yield Attribute(first_of(path))


_SETTERS = frozenset({"setattr", "register_buffer", "register_parameter"})
"""Functions and methods that set the attribute of the name that they are given."""
