"""What a calibration found, for a terminal and for tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from teaspec.calibrate.fit import Fit, Interval
from teaspec.calibrate.run import Findings
from teaspec.calibrate.thresholds import Threshold

_LEAST_R2 = 0.5


def as_json(findings: Findings) -> dict[str, Any]:
    """Returns the findings as plain data."""
    return {
        "transformer_type": findings.pairs.transformer_type,
        "accumulate": findings.accumulate,
        **asdict(findings.fit),
        "thresholds": [asdict(threshold) for threshold in findings.thresholds],
    }


def render(findings: Findings) -> RenderableType:
    """Lays the findings out."""
    facts = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _facts(findings.pairs.transformer_type, findings.fit):
        facts.add_row(name, value)
    parts: list[RenderableType] = [facts, *(Text(f"note: {note}") for note in _notes(findings.fit))]
    return Group(*parts, _table(findings.thresholds)) if findings.thresholds else Group(*parts)


def _facts(transformer: str, fit: Fit) -> list[tuple[str, str]]:
    crossed = "one generation only" if fit.cross_validated_r2 is None else f"{fit.cross_validated_r2:.4f}"
    return [
        ("transformer", transformer),
        ("pairs", f"{fit.pairs}, of {fit.generations} branches of generations"),
        ("coefficients", ", ".join(f"{value:.9g}" for value in fit.coefficients)),
        ("R²", f"{fit.r2:.4f}, cross-validated {crossed}"),
        ("distances seen", _span(fit.distances)),
        ("changes seen", _span(fit.changes)),
        ("polynomial below 0", _spans(fit.negative, "nowhere")),
        ("outside of the changes", _spans(fit.outside, "nowhere")),
    ]


def _notes(fit: Fit) -> list[str]:
    notes = []
    judged = fit.r2 if fit.cross_validated_r2 is None else fit.cross_validated_r2
    if judged < _LEAST_R2:
        notes.append("the distance says little about the change; the identity may do as well")
    if fit.negative:
        notes.append("where the polynomial is below 0, signed and absolute accumulation decide differently")
    return notes


def _table(thresholds: Sequence[Threshold]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    limits = sorted({limit for one in thresholds for limit in one.forecast})
    forecast = [f"order 1,\nlimit {limit:g}" for limit in limits]
    for name in ("threshold", "reused,\nreplayed", "reused,\nmeasured", "relative L1\nerror", *forecast):
        table.add_column(name, justify="right", no_wrap=True)
    for one in thresholds:
        measured = "" if one.measured is None else f"{one.measured:.0%}"
        errors = ["" if error is None else f"{error:.4f}" for error in (one.error, *map(one.forecast.get, limits))]
        table.add_row(f"{one.value:g}", f"{one.reused:.0%}", measured, *errors)
    return table


def _span(interval: Interval) -> str:
    return f"{interval[0]:.4g} to {interval[1]:.4g}"


def _spans(intervals: Sequence[Interval], none: str) -> str:
    return ", ".join(map(_span, intervals)) or none
