"""Places: where the values are kept that a statement reads, binds or changes.

A local name is a plain string, spelt as in the syntax tree. What belongs to the model is a value of its own, so that
nobody has to look into a string to tell one from the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Local = str
"""A local name of the function at hand."""


@dataclass(frozen=True, order=True)
class Attribute:
    """An attribute of the model, `self.<name>`, whatever the function calls the model."""

    name: str

    def __str__(self) -> str:
        return f"self.{self.name}"


@dataclass(frozen=True, order=True)
class Submodule:
    """What calling a submodule may leave in it: two statements that call the same one stay in their order."""

    path: str

    def __str__(self) -> str:
        return f"self.{self.path}()"


Place = Local | Attribute | Submodule
"""Where a value is kept."""


def local_names(places: Iterable[Place]) -> set[Local]:
    """The local names among places."""
    return {place for place in places if isinstance(place, str)}


def attributes_in(places: Iterable[Place]) -> set[Attribute]:
    """The attributes of the model among places."""
    return {place for place in places if isinstance(place, Attribute)}


def in_order(places: Iterable[Place]) -> list[Place]:
    """Places in the order of how messages spell them."""
    return sorted(places, key=str)
