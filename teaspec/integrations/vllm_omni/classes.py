"""The classes of a package's models, read from their source: importing them takes half a minute and a GPU."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelClass:
    """A class as its source has it.

    Attributes:
        name: Without its module.
        bases: The names of its bases, without their modules.
        attributes: What its methods read or set on themselves (`self.x`).
    """

    name: str
    bases: tuple[str, ...]
    attributes: frozenset[str]


class Survey:
    """Classes by their names. A name may stand for several, in modules of their own."""

    def __init__(self, classes: Iterable[ModelClass]) -> None:
        """Takes the classes."""
        self._classes: dict[str, list[ModelClass]] = {}
        for one in classes:
            self._classes.setdefault(one.name, []).append(one)

    def __contains__(self, name: str) -> bool:
        """Whether a class has this name."""
        return name in self._classes

    def can_have(self, name: str, attribute: str) -> bool:
        """Whether a class of this name can have an attribute.

        It can where its source, or that of one of its bases, has it; and where a base is not one of these classes, so
        that nobody knows.
        """
        return any(
            attribute in one.attributes or any(self._may_add(base, attribute) for base in one.bases)
            for one in self._classes.get(name, ())
        )

    def derived_from(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        """The classes that derive from those of these names: each with the one that it derives from."""
        known = set(names)
        for name in sorted(self._classes.keys() - known):
            base = next((base for base in self._ancestors(name) if base in known), None)
            if base is not None:
                yield name, base

    def _may_add(self, base: str, attribute: str) -> bool:
        if base in _EMPTY:
            return False
        return base not in self or self.can_have(base, attribute)

    def _ancestors(self, name: str) -> Iterator[str]:
        for one in self._classes.get(name, ()):
            for base in one.bases:
                if base != name:
                    yield base
                    yield from self._ancestors(base)


_EMPTY = frozenset({"Module", "ABC", "object", "Generic", "Protocol"})
"""Bases that hold no blocks."""


def survey(files: Iterable[Path]) -> Survey:
    """Reads classes from source files; a file that is no Python of this version is left out."""
    return Survey(one for file in files for one in _classes(file))


def _classes(file: Path) -> Iterator[ModelClass]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = (ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases)
            yield ModelClass(node.name, tuple(bases), frozenset(_attributes(node)))


def _attributes(cls: ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(cls):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            yield node.attr
