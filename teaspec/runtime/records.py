"""Frozen records with some fields changed, at the places that every step passes."""

from __future__ import annotations

from typing import Any, TypeVar

R = TypeVar("R")


def altered(record: R, **fields: Any) -> R:
    """Returns a copy of a record with other values in some fields.

    As `dataclasses.replace`, which asks for the fields of the class and sets them one by one: that is a good part of
    what a reused step of a small model costs. For records without slots that do nothing when they are made.

    Args:
        record: A dataclass instance.
        **fields: What changes, by name.
    """
    copy: R = object.__new__(type(record))
    vars(copy).update(vars(record), **fields)
    return copy
