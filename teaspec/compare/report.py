"""What a comparison found, for a terminal and for tools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from teaspec.compare.ranking import Advice, find_better, ranked
from teaspec.compare.result import Comparison, Measured, Outcome
from teaspec.compare.shot import Decided
from teaspec.compare.words import decibels, heading, notes, share
from teaspec.spread import Spread

_MARKS = {True: "█", False: "·"}
"""A computed step, a reused one."""


def render(comparison: Comparison, advice: Advice) -> RenderableType:
    """Lays the comparison out: the table, the steps, the order, what it is based on, and the call to copy."""
    parts: list[RenderableType] = [Text(heading(comparison)), _table(comparison), _steps(comparison)]
    parts += map(Text, _order(comparison))
    parts += (Text(f"note: {note}") for note in notes(comparison))
    parts += [Text(), Text(f"{advice.measured.setting.label}: {advice.why}."), Text(advice.measured.setting.call)]
    return Group(*parts)


def as_json(comparison: Comparison, advice: Advice) -> dict[str, Any]:
    """Returns the comparison as plain data."""
    return {
        "name": comparison.name,
        "pipeline": comparison.pipeline,
        "transformers": dict(comparison.transformers),
        "device": comparison.device,
        "motifs": [asdict(motif) for motif in comparison.motifs],
        "seconds": _spread(comparison.seconds),
        "repeats": _plain(comparison.repeats),
        "settings": [_setting(one, comparison) for one in comparison.measured],
        "ranking": [
            {"computed": group.computed, "best_first": [one.setting.label for one in group.best_first]}
            for group in ranked(comparison.measured)
        ],
        "notes": notes(comparison),
        "advice": {"setting": advice.measured.setting.label, "why": advice.why, "call": advice.measured.setting.call},
    }


def _setting(one: Measured, comparison: Comparison) -> dict[str, Any]:
    better = find_better(one, comparison.measured)
    return {
        "setting": one.setting.label,
        "arguments": one.setting.arguments,
        "call": one.setting.call,
        "computed": one.computed,
        "steps": one.steps,
        "time_ratio": _spread(one.time_ratio),
        "seconds": _spread(one.seconds),
        "psnr": _spread(one.psnr),
        "ssim": _spread(one.ssim),
        "lpips": None if one.lpips is None else _spread(one.lpips),
        "better": None if better is None else better.setting.label,
        "generations": [_outcome(outcome) for outcome in one.outcomes],
    }


def _outcome(one: Outcome) -> dict[str, Any]:
    return {
        **asdict(one.motif),
        "computed": one.computed,
        "steps": one.steps,
        "seconds": one.seconds,
        "time_ratio": one.time_ratio,
        **{name: _plain(value) for name, value in asdict(one.nearness).items()},
        "branches": {name: list(map(_decided, steps)) for name, steps in one.branches.items()},
    }


def _decided(one: Decided) -> dict[str, Any]:
    return {
        "transformer": one.transformer,
        "decision": one.decision.decision,
        "reason": one.decision.reason,
        "numbers": {name: _plain(value) for name, value in one.decision.numbers.items()},
    }


def _spread(spread: Spread) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(spread).items()}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value  # JSON has no infinity


def _table(comparison: Comparison) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("\nsetting", no_wrap=True)
    columns = ["steps\ncomputed", "time\nratio", "PSNR,\nmedian", "PSNR,\nlowest", "SSIM,\nmedian"]
    for name in [*columns, "LPIPS,\nmedian"] if comparison.without_lpips is None else columns:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("\nbetter")
    for one in comparison.measured:
        better = find_better(one, comparison.measured)
        lpips = () if one.lpips is None else (f"{one.lpips.median:.4f}",)
        table.add_row(
            one.setting.label,
            share(one.computed, one.steps),
            f"{one.time_ratio.median:.2f}",
            decibels(one.psnr.median),
            decibels(one.psnr.low),
            f"{one.ssim.median:.4f}",
            *lpips,
            "" if better is None else better.setting.label,
        )
    return table


def _steps(comparison: Comparison) -> Table:
    """What was decided in the first motif, a mark for each step."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for one in comparison.measured:
        for number, (branch, steps) in enumerate(one.outcomes[0].branches.items()):
            marks = "".join(_MARKS[step.is_computed] for step in steps)
            table.add_row("" if number else one.setting.label, branch, marks)
    return table


def _order(comparison: Comparison) -> Sequence[str]:
    lines = [f"{_MARKS[True]} computed, {_MARKS[False]} reused, in the first generation", ""]
    for group in ranked(comparison.measured):
        order = ", ".join(f"{one.setting.label} ({decibels(one.psnr.median)})" for one in group.best_first)
        lines.append(f"at {group.computed} computed steps, the nearest first: {order}")
    return lines
