"""What became of the specs in one environment, and what differs from another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OF_THE_PROBE = frozenset({"foreign-object", "unknown-config-key"})
"""Diagnostics of the probe and of a `match`: they say nothing about whether the model can be cut."""

PASSES, ABSENT, REFUSED, PROBE, FAILS = "passes", "absent", "refused", "probe", "fails"


@dataclass(frozen=True)
class Outcome:
    """What became of one spec.

    Attributes:
        kind: `passes`; `absent`: this version has no such class; `refused`: a landmark moved, or the forward cannot be
            cut; `probe`: the tiny model cannot be built, or its own forward fails; `fails`: a property does not hold.
        why: The reason, empty where it passes.
        left_out: Parts of the probe that this version lacks.
    """

    kind: str
    why: str = ""
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}: {self.why}" if self.why else self.kind


@dataclass(frozen=True)
class Seen:
    """What one environment says.

    Attributes:
        diffusers: Its version of diffusers.
        torch: Its version of torch.
        python: Its version of Python.
        specs: Name of a spec to what became of it.
        classes: The classes that a spec could be for.
        claims: What the cached pipeline was asked, and whether it held.
    """

    diffusers: str
    torch: str
    python: str
    specs: Mapping[str, Outcome]
    classes: frozenset[str]
    claims: Mapping[str, bool]

    def count(self, *kinds: str) -> int:
        """How many specs have one of some outcomes."""
        return sum(outcome.kind in kinds for outcome in self.specs.values())


def outcomes(report: Mapping[str, Any]) -> dict[str, Outcome]:
    """The outcome of each spec, from the JSON of `teaspec check`."""
    return {Path(entry["spec"]).stem: _of_spec(entry) for entry in report["specs"]}


def _of_spec(entry: Mapping[str, Any]) -> Outcome:
    codes = [diagnostic["code"] for diagnostic in entry["diagnostics"]]
    if entry["absent"]:
        return Outcome(ABSENT, entry["absent"])
    if codes:
        return Outcome(PROBE if OF_THE_PROBE.issuperset(codes) else REFUSED, ", ".join(codes))
    if entry["report"] is None:
        return Outcome(PROBE, _first_line(entry["error"]))
    left_out = tuple(entry["report"]["left_out"])
    failed = [item for item in entry["report"]["properties"] if not item["passed"]]
    if not failed:
        return Outcome(PASSES, left_out=left_out)
    names, message = [item["name"] for item in failed], _first_line(failed[0]["message"])
    return Outcome(PROBE if "forward" in names else FAILS, f"{', '.join(names)} ({message})", left_out)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def compare(here: Seen, there: Seen) -> list[str]:
    """What differs, one line each.

    Args:
        here: The pinned environment.
        there: The other one.
    """
    lines = [
        f"{name}: {outcome} (pinned: {here.specs.get(name)})"
        for name, outcome in there.specs.items()
        if str(outcome) != str(here.specs.get(name))
    ]
    lines += [f"new class: {name}" for name in sorted(there.classes - here.classes)]
    lines += [f"class gone: {name}" for name in sorted(here.classes - there.classes)]
    return lines or ["nothing moved"]
