"""What is compared: settings of `teaspec.enable`, one that decides and those that hold for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from teaspec.runtime.pipeline.backend import TeaCacheBackend


@dataclass(frozen=True, eq=False)
class Setting:
    """One way to cache.

    Attributes:
        name: The argument of `teaspec.enable` that decides.
        value: What that argument is set to.
        further: Arguments beside it, which all have.
        beside: What tells it from others with the same value, in words; empty where nothing does.
        added: The same as arguments.
    """

    name: str
    value: float
    further: Mapping[str, Any]
    beside: str = ""
    added: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments of `teaspec.enable`."""
        return {self.name: self.value, **self.added, **self.further}

    @property
    def label(self) -> str:
        """What it is called where all others have the same further arguments."""
        value = f"{self.name}={self.value!r}"
        return f"{value}, {self.beside}" if self.beside else value

    @property
    def call(self) -> str:
        """The line to copy."""
        return f"teaspec.enable(pipe, {', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


def settings_of(
    choices: Mapping[str, Sequence[float]],
    further: Mapping[str, Any],
    added: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Setting, ...]:
    """Returns a setting for each value with each of what is added, checked as `teaspec.enable` checks them.

    Args:
        choices: Values by the name of the argument that they are for.
        further: Arguments that hold for all of them.
        added: Arguments that each value is tried with in turn, by what they are in words; None for nothing.

    Raises:
        ValueError: If there is none, an argument is unknown or given twice, or a value is of no use.
    """
    twice = sorted(further.keys() & {name for one in (added or {}).values() for name in one})
    if twice:
        raise ValueError(f"{twice[0]} is given for all settings, and again to be tried: leave out one of the two")
    found = [
        Setting(name, value, further, beside, one)
        for name, values in choices.items()
        for value in dict.fromkeys(values)
        for beside, one in (added or {"": {}}).items()
    ]
    if not found:
        raise ValueError("there is nothing to compare: give --budget 8,12, --tolerance 0.02 or --threshold 0.25")
    for setting in found:
        TeaCacheBackend(setting.arguments)
    return tuple(found)
