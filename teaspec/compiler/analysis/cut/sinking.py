"""Which statements of the prelude a reused step needs, and which may wait until the blocks really run.

A statement *sinks* when no reused step needs it: it then stands in front of the blocks and only computed steps execute
it. Sinking moves it below the statements that stay, so it must not matter to either side. What is not certain stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teaspec.compiler.analysis.effects.effects import Effects
from teaspec.compiler.analysis.flow.dataflow import PARAMETER, Aliases, Definitions, definitely_assigned
from teaspec.compiler.forms.places import Place, attributes_in, local_names


@dataclass(frozen=True)
class Save:
    """A name's value that a sunk statement reads and a kept statement binds again.

    Attributes:
        name: What both statements call it.
        version: The name that keeps the old value.
        before: Index of the kept statement that binds it again.
        users: Indexes of the sunk statements that read the old value.
    """

    name: str
    version: str
    before: int
    users: frozenset[int]


@dataclass(frozen=True)
class Sinking:
    """How a prelude splits.

    Attributes:
        kept: Indexes of the statements that every step executes.
        sunk: Indexes of those that only computed steps execute.
        saves: Old values that have to be kept for the sunk ones.
    """

    kept: tuple[int, ...]
    sunk: tuple[int, ...]
    saves: tuple[Save, ...]


def split_prelude(
    effects: Sequence[Effects],
    needed: frozenset[Place],
    read_behind: frozenset[Place],
    parameters: Sequence[str],
    taken: frozenset[str],
    containers: frozenset[str] = frozenset(),
) -> Sinking:
    """Splits a prelude into what stays and what sinks.

    Args:
        effects: The effects of each statement.
        needed: The names whose values a reused step needs behind the prelude.
        read_behind: The names that anything behind the prelude reads.
        parameters: The forward's parameters.
        taken: Names that must not be used for saved values.
        containers: Names that hold containers of the forward's own.
    """
    aliases = Aliases(effects, containers)
    definitions = Definitions.of(effects, parameters, aliases)
    changed = [aliases.changed(one.changes) for one in effects]
    outside = frozenset(parameters)

    def is_seen_outside(index: int) -> bool:
        return bool(changed[index] & outside) or bool(attributes_in(changed[index]))

    def may_be_held(index: int) -> bool:
        """Whether what a statement changes may lie outside of the forward by then: an attribute was set to it, say."""
        return any(
            changed[index] & effects[earlier].reads
            and (effects[earlier].external or is_seen_outside(earlier) or attributes_in(effects[earlier].binds))
            for earlier in range(index)
        )

    def has_to_stay(index: int) -> bool:
        one = effects[index]
        return one.external or one.random or one.raises or one.returns or is_seen_outside(index) or may_be_held(index)

    kept = {index for index in range(len(effects)) if has_to_stay(index)}
    for name in needed:
        kept |= definitions.end.get(name, frozenset()) - {PARAMETER}
    while True:
        _add_dependencies(kept, effects, definitions)
        conflict = _find_conflict(kept, effects, changed, definitions, parameters, needed | read_behind)
        if conflict is None:
            break
        kept.add(conflict)
    sunk = tuple(index for index in range(len(effects)) if index not in kept)
    return Sinking(tuple(sorted(kept)), sunk, _saves(kept, sunk, effects, taken))


def _add_dependencies(kept: set[int], effects: Sequence[Effects], definitions: Definitions) -> None:
    waiting = list(kept)
    while waiting:
        index = waiting.pop()
        for name in effects[index].reads | effects[index].changes:
            for definition in definitions.before[index].get(name, frozenset()):
                if definition != PARAMETER and definition not in kept:
                    kept.add(definition)
                    waiting.append(definition)


def _find_conflict(
    kept: set[int],
    effects: Sequence[Effects],
    changed: Sequence[frozenset[Place]],
    definitions: Definitions,
    parameters: Sequence[str],
    read_behind: frozenset[Place],
) -> int | None:
    """A sunk statement that must not move below a kept one that follows it."""
    for index in range(len(effects)):
        if index in kept:
            continue
        one = effects[index]
        for later in sorted(k for k in kept if k > index):
            other = effects[later]
            touched = one.reads | one.binds | one.captures | changed[index]
            # Both bind a name: it matters who does so last, but only to somebody who reads it afterwards.
            read_later = read_behind.union(*(e.reads for i, e in enumerate(effects) if i > later and i not in kept))
            if (
                any(not isinstance(place, str) or place in read_later for place in other.binds & one.binds)
                or changed[later] & touched
                or changed[index] & (other.reads | other.binds)
                or other.binds & one.captures
            ):
                return index
            if any(
                not _can_be_saved(place, index, later, kept, effects, definitions, parameters)
                for place in other.binds & one.reads
            ):
                return index
    return None


def _can_be_saved(
    place: Place,
    index: int,
    later: int,
    kept: set[int],
    effects: Sequence[Effects],
    definitions: Definitions,
    parameters: Sequence[str],
) -> bool:
    if not isinstance(place, str) or place in effects[index].scoped:
        return False
    made_by = definitions.before[index].get(place, frozenset())
    if not made_by <= kept | {PARAMETER}:
        return False
    first = min(k for k in kept if k > index and place in effects[k].binds)
    return place in definitely_assigned([effects[k] for k in sorted(kept) if k < first], parameters)


def _saves(kept: set[int], sunk: Sequence[int], effects: Sequence[Effects], taken: frozenset[str]) -> tuple[Save, ...]:
    users: dict[tuple[str, int], set[int]] = {}
    for index in sunk:
        for name in sorted(local_names(effects[index].reads)):
            binding = [k for k in sorted(kept) if k > index and name in effects[k].binds]
            if binding:
                users.setdefault((name, binding[0]), set()).add(index)
    saves: list[Save] = []
    used = set(taken)
    for (name, before), readers in sorted(users.items(), key=lambda item: (item[0][1], item[0][0])):
        number = 1
        while f"{name}_v{number}" in used:
            number += 1
        used.add(f"{name}_v{number}")
        saves.append(Save(name, f"{name}_v{number}", before, frozenset(readers)))
    return tuple(saves)
