"""What is compared: settings of `teaspec.enable`, one that decides and those that hold for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teaspec.runtime.pipeline.backend import TeaCacheBackend


@dataclass(frozen=True, eq=False)
class Setting:
    """One way to cache.

    Attributes:
        name: The argument of `teaspec.enable` that decides.
        value: What that argument is set to.
        further: Arguments beside it.
    """

    name: str
    value: float
    further: Mapping[str, Any]

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments of `teaspec.enable`."""
        return {self.name: self.value, **self.further}

    @property
    def label(self) -> str:
        """What it is called where all others have the same further arguments."""
        return f"{self.name}={self.value!r}"

    @property
    def call(self) -> str:
        """The line to copy."""
        return f"teaspec.enable(pipe, {', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


def settings_of(choices: Mapping[str, Sequence[float]], further: Mapping[str, Any]) -> tuple[Setting, ...]:
    """Returns a setting for each value, checked as `teaspec.enable` checks them.

    Args:
        choices: Values by the name of the argument that they are for.
        further: Arguments that hold for all of them.

    Raises:
        ValueError: If there is none, an argument is unknown, or a value is of no use.
    """
    found = [Setting(name, value, further) for name, values in choices.items() for value in dict.fromkeys(values)]
    if not found:
        raise ValueError("there is nothing to compare: give --budget 8,12, --tolerance 0.02 or --threshold 0.25")
    for setting in found:
        TeaCacheBackend(setting.arguments)
    return tuple(found)
