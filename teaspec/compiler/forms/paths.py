"""Dotted paths, as of submodules (`blocks.0.norm1`) and of Python modules: the one place that takes them apart."""

from __future__ import annotations


def first_of(path: str) -> str:
    """The first name of a path."""
    return path.partition(".")[0]


def last_of(path: str) -> str:
    """The last name of a path."""
    return path.rpartition(".")[2]


def owner_of(path: str) -> str:
    """The path without its last name; "" for a single name."""
    return path.rpartition(".")[0]


def is_within(path: str, outer: str) -> bool:
    """Whether a path is another, or leads on from it."""
    return path == outer or path.startswith(f"{outer}.")


def names_of(path: str) -> list[str]:
    """The names that a path consists of."""
    return path.split(".")


def outer_paths(path: str) -> list[str]:
    """The paths that lead to a path, from its first name to the path itself."""
    names = names_of(path)
    return [".".join(names[:depth]) for depth in range(1, len(names) + 1)]
