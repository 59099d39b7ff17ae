"""What blocks leave on the model, and what comes behind them reads there.

An attribute that a block leaves on itself, or that the statements of the blocks set on the model, belongs to whatever
call ran the blocks last: on a reused step that is an earlier one, perhaps of another image.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from teaspec.compiler.analysis.block_state import BlockState
from teaspec.compiler.analysis.dataflow import Reader
from teaspec.compiler.analysis.expression_effects import callee_name
from teaspec.compiler.analysis.names import outside_functions, path_names, self_path
from teaspec.compiler.analysis.operations import CHANGES
from teaspec.compiler.analysis.search import simple_statements


@dataclass(frozen=True)
class LeftBehind:
    """An attribute that the blocks leave and the postlude reads.

    Attributes:
        read: What is read, as the model's source has it.
        reader: The statement behind the blocks that reads it, or leads to where it is read.
        left: Where it is left: a statement of the blocks, or the class of the block.
    """

    read: str
    reader: ast.stmt
    left: ast.AST


def left_behind(
    reader: Reader, blocks: Sequence[ast.stmt], postlude: Sequence[ast.stmt], state: BlockState
) -> LeftBehind | None:
    """Find an attribute that the blocks leave and the postlude reads.

    Args:
        reader: Reads effects in the forward.
        blocks: The statements of the blocks.
        postlude: The statements behind them.
        state: Finds reads of what blocks leave on themselves.
    """
    stored = _stored(reader, blocks)
    for statement in postlude:
        for name in sorted(reader.effects(statement).reads & stored.keys()):
            return LeftBehind(name, statement, stored[name])
    for statement in postlude:
        for read, left in state.reads(statement):
            return LeftBehind(read, statement, left or blocks[0])
    return None


def _stored(reader: Reader, blocks: Sequence[ast.stmt]) -> dict[str, ast.stmt]:
    """The attributes of the model that statements set or change in place, each with the last that does so."""
    known = path_names(reader.function.node, reader.function.self_name)
    found: dict[str, ast.stmt] = {}
    for statement in simple_statements(blocks):
        effects = reader.effects(statement)
        held = {f"self.{known[name].partition('.')[0]}" for name in effects.changes if name in known}
        names = {*effects.binds, *held, *_changed_attributes(statement, reader)}
        found |= {n: statement for n in names if n.startswith("self.") and not n.endswith("()")}
    return found


def _changed_attributes(statement: ast.stmt, reader: Reader) -> Iterator[str]:
    """`self.losses.append(x)`, `self.buffer[0] = x`, `update(self.losses)`."""
    self_name = reader.function.self_name
    bare = statement.value if isinstance(statement, ast.Expr) else None
    for node in outside_functions(statement):
        if not isinstance(node, ast.Call):
            continue
        if callee_name(node.func, "") in _SETTERS or getattr(node.func, "attr", "") in _SETTERS:
            names = [part.value for part in node.args if isinstance(part, ast.Constant)]
            yield from (f"self.{name}" for name in names[:1] if isinstance(name, str))
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        last = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        changed = [receiver] if receiver is not None and (last in CHANGES or last.endswith("_")) else []
        changed += [*node.args, *(keyword.value for keyword in node.keywords)] if node is bare else []
        for part in changed:
            path = self_path(part, self_name) if part is not None else None
            if path is not None and path not in reader.module.children:
                yield f"self.{path.partition('.')[0]}"


_SETTERS = frozenset({"setattr", "register_buffer", "register_parameter"})
"""Functions and methods that set the attribute of the name that they are given."""
