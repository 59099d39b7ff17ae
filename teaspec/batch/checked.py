"""What became of a spec that was to be checked."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import teaspec

if TYPE_CHECKING:
    from teaspec.compiler import Diagnostic
    from teaspec.proof.result import CheckReport


@dataclass(frozen=True)
class Bug:
    """An exception that no spec and no model should lead to.

    Attributes:
        summary: Its type and message on one line.
        trace: Its traceback.
    """

    summary: str
    trace: str


@dataclass(frozen=True)
class Checked:
    """What became of one spec: a report, or why there is none.

    Attributes:
        spec: The path of the spec, as it was given.
        report: What was proven.
        diagnostics: What the compiler has against the spec.
        error: What else kept the check from ending.
        bug: What in teaspec did.
        model_file: The file of the model's class, where the check came to import it.
        absent: Which versions of diffusers have the class, where the installed one is known to lack it; None else.
    """

    spec: str
    report: CheckReport | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    error: str | None = None
    bug: Bug | None = None
    model_file: str | None = None
    absent: str | None = None

    @property
    def passed(self) -> bool:
        """Whether there is a report and every property held."""
        return self.report is not None and self.report.passed


def as_json(results: Sequence[Checked], source: bool, *, excused: bool = False) -> dict[str, Any]:
    """The results as plain data for JSON.

    Args:
        results: One for each spec.
        source: Whether to add the generated extractors.
        excused: Whether classes that the installed version lacks count as nothing that fails.
    """
    from teaspec.compiler import to_json

    entries = []
    for result in results:
        entry: dict[str, Any] = {
            "spec": result.spec,
            "passed": result.passed,
            "absent": result.absent,
            "error": result.error if result.bug is None else f"internal error: {result.bug.summary}",
            "diagnostics": to_json(result.diagnostics),
            "report": None if result.report is None else result.report.as_dict(),
        }
        if source and result.report is not None:
            entry["source"] = result.report.source
        entries.append(entry)
    return {
        "teaspec": teaspec.__version__,
        "versions": {"python": platform.python_version(), "torch": version("torch"), "diffusers": version("diffusers")},
        "passed": all(result.passed or (excused and result.absent) for result in results),
        "specs": entries,
    }
