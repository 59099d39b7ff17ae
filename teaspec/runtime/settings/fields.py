"""Settings that do not exist: the message has the nearest ones, wherever they were written."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeVar

from teaspec.runtime.naming import did_you_mean, listed

Config = TypeVar("Config")


def find_unknown(names: Iterable[Any], config: type) -> str | None:
    """Returns what is wrong with names of settings, None where all are known.

    Args:
        names: What was written.
        config: The dataclass that has the settings.
    """
    known = [field.name for field in fields(config)]
    unknown = [name for name in names if name not in known]
    if not unknown:
        return None
    hints = " ".join(f"unknown cache setting {name!r}{did_you_mean(str(name), known)}" for name in unknown)
    return f"{hints} Known: {listed(known)}"


def names_the_nearest(config: type[Config]) -> type[Config]:
    """Has the constructor of a dataclass say which field was probably meant by one that does not exist."""
    construct: Any = config.__init__

    @functools.wraps(construct)
    def construct_checked(self: Any, *args: Any, **settings: Any) -> None:
        problem = find_unknown(settings, type(self))
        if problem is not None:
            raise TypeError(f"{type(self).__name__}: {problem}")
        construct(self, *args, **settings)

    setattr(config, "__init__", construct_checked)  # noqa: B010 - mypy knows no other constructor
    return config
