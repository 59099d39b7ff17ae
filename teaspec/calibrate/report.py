"""What a calibration found, for a terminal and for tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from teaspec.calibrate.choosing import Added
from teaspec.calibrate.fit import Fit, Interval
from teaspec.calibrate.gain import Weighed
from teaspec.calibrate.plans import Ranked
from teaspec.calibrate.run import Findings
from teaspec.calibrate.thresholds import Threshold
from teaspec.runtime.calibrations.plans import Plan
from teaspec.runtime.rules.forecast import Kind

_LEAST_R2 = 0.5


def as_json(findings: Findings) -> dict[str, Any]:
    """Returns the findings as plain data."""
    return {
        "transformer_type": findings.pairs.transformer_type,
        "accumulate": findings.accumulate,
        **asdict(findings.fit),
        "thresholds": [asdict(threshold) for threshold in findings.thresholds],
        **({} if findings.planning is None else asdict(findings.planning)),
        **({} if findings.weighed is None else {"tolerance": asdict(findings.weighed)}),
    }


def render(findings: Findings) -> RenderableType:
    """Lays the findings out."""
    facts = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _facts(findings.pairs.transformer_type, findings.fit):
        facts.add_row(name, value)
    parts: list[RenderableType] = [facts, *(Text(f"note: {note}") for note in _notes(findings.fit))]
    if findings.thresholds:
        parts.append(_table(findings.thresholds))
    if findings.planning is not None:
        parts += [_ranking(findings.planning.ranking), *map(Text, _plans(findings.planning.plans))]
    if findings.weighed is not None:
        parts.append(_met(findings.weighed))
    return Group(*parts)


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
        notes.append(
            f"the threshold rule's signal says little about the change (R² {judged:.2f}): a threshold decides by "
            f"little more than chance, and the identity may do as well; a budget needs no signal"
        )
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


def _ranking(ranking: Sequence[Ranked]) -> Table:
    """Rules and forecasts at about as many computed steps, on prompts that were held out."""
    table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    for name in ("budget", "computed"):
        table.add_column(name, justify="right")
    for name in ("rule", "forecast"):
        table.add_column(name)
    table.add_column("relative\nerror", justify="right")
    for one in ranking:
        added = Added(one.forecast, one.limit)
        table.add_row(str(one.budget), f"{one.computed:.3g}", one.rule, str(added), f"{one.error:.4f}")
    return table


def _plans(plans: Sequence[Plan]) -> list[str]:
    """Each plan in a line; one that is worse than even steps says so."""
    lines = []
    for plan in plans:
        worth = "worse than evenly placed steps:" if plan.is_worse_than_even else "evenly"
        steps = ", ".join(map(str, plan.computed))
        added = Added(cast(Kind, plan.forecast), plan.limit)
        lines.append(f"plan {plan}, {added}: {steps} (error {plan.error:.4f}, {worth} {plan.even:.4f})")
    return lines


def _met(weighed: Weighed) -> Table:
    """How tolerances are met, on prompts that were held out."""
    gain = weighed.gain
    table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    added = Added(cast(Kind, gain.forecast), gain.limit)
    for name in (f"tolerance,\n{added}", "relative error\nwithout a gain", f"with the gain\nof {gain.gain:g}"):
        table.add_column(name, justify="right")
    for one in weighed.met:
        table.add_row(f"{one.tolerance:g}", f"{one.without:.4f}", f"{one.error:.4f}")
    return table


def _span(interval: Interval) -> str:
    return f"{interval[0]:.4g} to {interval[1]:.4g}"


def _spans(intervals: Sequence[Interval], none: str) -> str:
    return ", ".join(map(_span, intervals)) or none
