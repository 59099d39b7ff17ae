"""A comparison as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import teaspec
from teaspec.compare.chart import chart_of
from teaspec.compare.ranking import Advice, find_better, ranked
from teaspec.compare.result import Comparison, Measured, Outcome
from teaspec.compare.shot import Decided
from teaspec.compare.thumbnails import data_uri
from teaspec.compare.words import decibels, generations, notes, share
from teaspec.pages.template import load_template


def render_page(comparison: Comparison, advice: Advice) -> str:
    """Writes the page: light and dark as the reader's system has it, no script, nothing from elsewhere.

    Args:
        comparison: What was found.
        advice: The setting to copy.

    Returns:
        The text of an HTML file. The same comparison gives the same text.
    """
    return load_template("teaspec.compare", "compare.html.j2").render(
        c=comparison,
        best=_row(comparison, advice.measured),
        why=advice.why,
        transformers=", ".join(dict.fromkeys(comparison.transformers.values())),
        generations=generations(comparison),
        uncached=f"{comparison.seconds.median:.3g}",
        arguments=", ".join(f"{name}={value!r}" for name, value in comparison.arguments.items()),
        chart=chart_of(comparison.measured),
        rows=[_row(comparison, one) for one in comparison.measured],
        groups=list(_groups(comparison)),
        motifs=list(_motifs(comparison)),
        notes=notes(comparison),
        version=teaspec.__version__,
    )


def _number(comparison: Comparison, one: Measured) -> int:
    return comparison.measured.index(one) + 1


def _row(comparison: Comparison, one: Measured) -> dict[str, Any]:
    better = find_better(one, comparison.measured)
    return {
        "number": _number(comparison, one),
        "label": one.setting.label,
        "call": one.setting.call,
        "computed": share(one.computed, one.steps),
        "time": f"{one.time_ratio.median:.2f}",
        "seconds": f"{one.seconds.median:.3g}",
        "psnr": decibels(one.psnr.median),
        "lowest": decibels(one.psnr.low),
        "ssim": f"{one.ssim.median:.4f}",
        "lpips": None if one.lpips is None else f"{one.lpips.median:.4f}",
        "better": None if better is None else _number(comparison, better),
        "branches": [
            {"name": name, "cells": [_cell(number, step) for number, step in enumerate(steps)]}
            for name, steps in one.outcomes[0].branches.items()
        ],
    }


def _cell(number: int, step: Decided) -> dict[str, Any]:
    numbers = "".join(f", {name} {value:.4g}" for name, value in step.decision.numbers.items())
    done = "computed" if step.is_computed else "reused"
    return {
        "computed": step.is_computed,
        "title": f"step {number}, {step.transformer}: {done}, {step.decision.reason}{numbers}",
    }


def _groups(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for group in ranked(comparison.measured):
        yield {"computed": group.computed, "rows": [_row(comparison, one) for one in group.best_first]}


def _motifs(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for number, shown in enumerate(comparison.shown):
        figures: list[dict[str, Any]] = [
            {"number": None, "label": "uncached", "said": "", "picture": data_uri(shown.uncached)}
        ]
        for index, (one, clip) in enumerate(zip(comparison.measured, shown.cached, strict=True), 1):
            said = _said(one.outcomes[number])
            figures.append({"number": index, "label": one.setting.label, "said": said, "picture": data_uri(clip)})
        yield {
            "prompt": shown.motif.prompt,
            "seed": shown.motif.seed,
            "figures": figures,
            "is_small": max(shown.uncached.shape[-2:]) <= 128,
        }


def _said(outcome: Outcome) -> str:
    return f"{decibels(outcome.nearness.psnr)}, {share(outcome.computed, outcome.steps)}"
