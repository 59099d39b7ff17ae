"""What crosses from blocks to postlude: streams, values carried over, and values that are cheaper to compute again."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from teaspec.compiler.analysis.dataflow import Aliases, Reader, definitely_assigned, parameter_names
from teaspec.compiler.analysis.effects import Effects
from teaspec.compiler.analysis.names import root_names, target_names
from teaspec.compiler.forms.program import LiveValue


@dataclass(frozen=True)
class Crossing:
    """What the postlude needs of the blocks.

    Attributes:
        live: The values that the blocks hand over, the hidden stream first.
        recomputed: Statements between the loops that do not depend on what the loops make: the postlude runs them
            again.
        blocks: The statements of the blocks, without those that only the postlude needs.
    """

    live: tuple[LiveValue, ...]
    recomputed: tuple[ast.stmt, ...]
    blocks: tuple[ast.stmt, ...]


def crossing_values(
    reader: Reader,
    prelude: Sequence[ast.stmt],
    blocks: Sequence[ast.stmt],
    rest: Sequence[ast.stmt],
    holds_loop: Sequence[bool],
    hidden: str,
    encoder: str | None,
) -> Crossing:
    """Find what the statements after the blocks read of what the blocks bind or change.

    Args:
        reader: Reads effects in the forward.
        prelude: The statements before the blocks.
        blocks: The statements of the blocks.
        rest: The statements after them.
        holds_loop: For each statement of the blocks, whether it holds a loop over submodules.
        hidden: Name of the hidden stream.
        encoder: Name of the encoder stream, None where there is one stream only.
    """
    effects = [reader.effects(statement) for statement in blocks]
    before = [reader.effects(statement) for statement in prelude]
    bound = {name for one in effects for name in one.binds}
    parameters = parameter_names(reader.function.node.args)
    arguments = set(parameters).difference(*(one.kills for one in before))
    changed = _changed_locals(prelude, blocks, effects, arguments)
    recomputable = _recomputable(blocks, effects, holds_loop, reader.containers)
    recomputed = _needed_of(recomputable, blocks, effects, reader.effects(rest).reads)
    read = reader.effects([*(blocks[index] for index in recomputed), *rest]).reads if rest else frozenset()
    crossing = {name for name in read & (bound | changed) if "." not in name}
    assigned = definitely_assigned(before, parameters)
    assigned_behind = definitely_assigned([*before, *effects], parameters)
    entering = reader.effects(blocks).reads | changed
    # What is changed in place and never bound again is a container (or the buffer of a stream).
    threaded = assigned & (bound | {hidden, encoder})
    ordered = sorted(crossing, key=lambda name: (name != hidden, name))
    live = tuple(
        LiveValue(
            name,
            "stream" if name in threaded and (name in entering or name not in assigned_behind) else "carried",
            maybe_unbound=name not in assigned_behind,
        )
        for name in ordered
    )
    left = list(range(len(blocks)))
    for index in reversed(recomputed):
        if not any(effects[index].binds & effects[other].reads for other in left if other > index):
            left.remove(index)
    return Crossing(live, tuple(blocks[i] for i in recomputed), tuple(blocks[i] for i in left))


def _changed_locals(
    prelude: Sequence[ast.stmt], blocks: Sequence[ast.stmt], effects: Sequence[Effects], arguments: set[str]
) -> set[str]:
    """The names whose objects the blocks change in place.

    Not those of arguments: what a caller passes belongs to this call, and must not be taken over from an earlier one.
    """
    found: set[str] = set()
    for name in {name for one in effects for name in one.changes}:
        views = views_of([*prelude, *blocks], {name})
        if not views & arguments:
            found |= views
    return found


def _recomputable(
    blocks: Sequence[ast.stmt], effects: Sequence[Effects], holds_loop: Sequence[bool], containers: frozenset[str]
) -> list[int]:
    aliases = Aliases(effects, containers)
    found: list[int] = []
    for index, one in enumerate(effects):
        others = [e for i, e in enumerate(effects) if i != index]
        elsewhere = {name for i, e in enumerate(effects) if i != index and i not in found for name in e.binds}
        changed = aliases.changed({name for e in others for name in e.changes})
        busy = one.external or one.random or one.raises or one.returns or one.changes or one.captures
        rebinds = one.binds & {name for e in others for name in e.binds}
        if not holds_loop[index] and not busy and not rebinds and not (one.reads | one.binds) & (elsewhere | changed):
            found.append(index)
    return found


def _needed_of(
    candidates: Sequence[int], blocks: Sequence[ast.stmt], effects: Sequence[Effects], read: frozenset[str]
) -> list[int]:
    wanted = set(read)
    chosen: list[int] = []
    for index in reversed(candidates):
        if effects[index].binds & wanted:
            chosen.append(index)
            wanted |= effects[index].reads
    return chosen[::-1]


def views_of(statements: Sequence[ast.stmt], names: set[str]) -> set[str]:
    """The names and those that plainly are views of the same objects.

    `y = x`, `y = x[:, 1:]`, `y = x.view(...)`, `for y in x`: what a reader sees at once, not all that might share an
    object.
    """
    nodes = [node for statement in statements for node in ast.walk(statement)]
    bound = [(target, node.value) for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    bound += [(node.target, node.iter) for node in nodes if isinstance(node, ast.For)]
    pairs = [(name, root) for target, value in bound for name in target_names(target) for root in _viewed(value)]
    found = set(names)
    while True:
        more = {a for a, b in pairs if b in found} | {b for a, b in pairs if a in found}
        if more <= found:
            return found
        found |= more


def _viewed(value: ast.expr) -> set[str]:
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _VIEWS:
        value = value.func.value
    if isinstance(value, (ast.Name, ast.Attribute, ast.Subscript)):
        return root_names(value) - {"self"}
    return set()


_VIEWS = frozenset(
    "view view_as reshape transpose permute unsqueeze squeeze flatten unflatten chunk split unbind t expand expand_as "
    "contiguous to type_as float half bfloat16 narrow select detach movedim swapaxes".split()
)
