"""What came and went with the versions of diffusers: transformers, their parameters and calls, the classes beside them.

What the installed version lacks and another one has is no misspelling. `history.json` says so; it is written by
`python -m tools.drift.history` and holds only what moved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

FILE = Path(__file__).parent / "history.json"

Kind = Literal["config", "inputs", "calls", "objects"]
"""Parameters of the constructor, those of the forward, calls with what they bind, classes beside the model."""


@dataclass(frozen=True)
class History:
    """What is known about one class.

    Attributes:
        there: The minor versions that have it, `first-last`; empty where nothing is known.
        moved: For each kind, the names that some of these versions have and others lack, each with those that have it.
        versions: All versions that are known, the oldest first.
    """

    there: str = ""
    moved: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    versions: Sequence[str] = ()

    def find(self, kind: Kind, name: str) -> str | None:
        """Returns which versions have a name, in words, or None where none is known to have it, or all have it.

        Args:
            kind: What it is the name of.
            name: Of a class, an argument of a constructor or one of a forward.
        """
        span = self.moved.get(kind, {}).get(name)
        return None if span is None else self._words(span)

    def is_absent_from(self, version: str | None) -> bool:
        """Returns whether a version is known to lack the class, which others have.

        Args:
            version: As diffusers gives it; None for none.
        """
        minor = ".".join((version or "").split(".")[:2])
        if not self.there or minor not in self.versions:
            return False
        first, last = map(self.versions.index, self.there.split("-"))
        return not first <= self.versions.index(minor) <= last

    @property
    def lifetime(self) -> str | None:
        """Which versions have the class, in words; None where it is unknown."""
        return self._words(self.there) if self.there else None

    def _words(self, span: str) -> str:
        first, last = span.split("-")
        if last == self.versions[-1]:
            return f"since diffusers {first}"
        return f"in diffusers {first}" if first == last else f"in diffusers {first} to {last}"


def history_of(model: str) -> History:
    """Returns what is known about a class; nothing about those that do not come from diffusers.

    Args:
        model: Its import path, as a spec writes it.
    """
    package, _, rest = model.replace(":", ".").partition(".")
    known = _load()
    entry = known["classes"].get(rest.rpartition(".")[2]) if package == "diffusers" else None
    if entry is None:
        return History()
    moved = {kind: names for kind, names in entry.items() if kind != "there"}
    return History(entry["there"], moved, known["versions"])


@cache
def _load() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
