"""Where a value comes from: the model alone, this call, or what the blocks computed.

An origin says of a value what it depends on; of one that holds others apart (a tuple, a list, a dict) what each of them
depends on. Whatever does not depend on what the blocks compute belongs to this call, wherever it is bound.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace


class Level(enum.IntEnum):
    """What a value depends on."""

    FIXED = 0
    """The model alone: it is the same in every call."""
    CALL = 1
    """The arguments of this call."""
    BLOCKS = 2
    """What the blocks computed."""


Part = Level | str
"""A level; or the name whose value, as it was when the blocks began, this one is."""


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Attributes:
        parts: What it depends on; several where it holds several values apart, or one on one way and one on another.
        items: The same item by item, for a tuple or list of a known length, or a dict.
        keys: The keys of the items, for a dict whose keys are known.
        inside: What its parts depend on if it is taken apart, where nobody can see how it was made.
        block: It is a block, or something that holds blocks.
        container: It holds values apart, as a list does.
    """

    parts: frozenset[Part]
    items: tuple[Origin, ...] | None = None
    keys: tuple[object, ...] | None = None
    inside: frozenset[Part] | None = None
    block: bool = False
    container: bool = False

    @property
    def level(self) -> Level:
        """The most that it depends on."""
        return max((_level(part) for part in self.parts), default=Level.FIXED)

    @property
    def is_uncertain(self) -> bool:
        """Whether it is one value, which on one way the blocks compute and on another belongs to the call."""
        return not self.container and {_level(part) for part in self.parts} >= {Level.CALL, Level.BLOCKS}

    @property
    def apart(self) -> Origin:
        """Any one of the values that it holds."""
        if self.items:
            return joined(self.items)
        return Origin(_raised(self.parts if self.inside is None else self.inside, Level.FIXED), block=self.block)

    @property
    def unnamed(self) -> Origin:
        """The same value where another one holds it, which is no longer what a name was."""
        return replace(self, parts=_raised(self.parts, Level.FIXED))

    def raised(self, level: Level) -> Origin:
        """The same value, where it also depends on `level` whether it is this one."""
        if level is Level.FIXED:
            return self
        items = None if self.items is None else tuple(item.raised(level) for item in self.items)
        inside = None if self.inside is None else _raised(self.inside, level)
        return replace(self, parts=_raised(self.parts, level), items=items, inside=inside)


FIXED = Origin(frozenset({Level.FIXED}))


def computed(origins: Iterable[Origin], least: Level = Level.FIXED) -> Origin:
    """The origin of one value that is computed from others.

    Of what the blocks compute on one way alone, it is on one way alone.
    """
    every = list(origins)
    level = max((origin.level for origin in every), default=least)
    uncertain = [origin.is_uncertain for origin in every if origin.level is Level.BLOCKS]
    return Origin(frozenset({Level.CALL, level} if uncertain and all(uncertain) else {level})).raised(least)


def holding(origins: Iterable[Origin]) -> Origin:
    """The origin of a container of values."""
    every = list(origins)
    parts = frozenset(part for origin in every for part in origin.parts) or FIXED.parts
    return Origin(parts, block=any(origin.block for origin in every), container=True)


def displayed(items: Iterable[Origin], keys: Iterable[object] | None = None) -> Origin:
    """The origin of a tuple, list or dict whose items are known one by one."""
    every = tuple(items)
    return replace(holding(every), items=every, keys=None if keys is None else tuple(keys))


def joined(origins: Iterable[Origin]) -> Origin:
    """The origin of a value that is one of several, not known which."""
    every = list(origins)
    forms = {None if origin.items is None else (len(origin.items), origin.keys) for origin in every}
    items = keys = None
    if len(forms) == 1 and None not in forms:
        keys = every[0].keys
        items = tuple(joined(pair) for pair in zip(*(origin.items or () for origin in every), strict=True))
    insides = [origin.inside for origin in every]
    known = all(inside is None for inside in insides)
    inside = None if known else frozenset(p for origin in every for p in (origin.inside or origin.parts))
    return replace(
        holding(every), items=items, keys=keys, inside=inside, container=any(origin.container for origin in every)
    )


def chosen(origins: Iterable[Origin], level: Level) -> Origin:
    """The origin of one of several values, of which depends on `level` which it is; unless they are all the same."""
    return _unless_the_same(joined(origins), level)


def _unless_the_same(origin: Origin, level: Level) -> Origin:
    if len(origin.parts) == 1 and all(isinstance(part, str) for part in origin.parts):
        return origin
    if origin.items is None:
        return origin.raised(level)
    items = tuple(_unless_the_same(item, level) for item in origin.items)
    return replace(displayed(items, origin.keys), block=origin.block)


def _level(part: Part) -> Level:
    return Level.CALL if isinstance(part, str) else part


def _raised(parts: frozenset[Part], level: Level) -> frozenset[Part]:
    return frozenset(max(_level(part), level) for part in parts)
