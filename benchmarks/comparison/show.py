"""The comparison as JSON, as a Markdown table and as a picture."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from comparison.measure import Comparison, Point

_MEASURES = (("psnr", "PSNR to uncached (dB)"), ("ssim", "SSIM to uncached"), ("accuracy", "recognised (share)"))
_COSTS = {"operations": "operations", "time": "wall time", "evaluations": "evaluations of the transformer"}
_EQUAL = (0.6, 0.5, 0.4, 0.33)
_MARKERS = "sD^vP*X<>phd8"
_OURS = ("#f0a49b", "#e06055", "#8c1d18", "#9dc3e6", "#5b9bd5", "#1f5fa8", "#0b2f5b", "#7fb069")
_OTHERS = (
    *("#111111", "#2e7d32", "#d9822b", "#8e44ad", "#00838f", "#795548", "#ad1457", "#607d8b", "#9e9d24"),
    *("#6d4cff", "#c0ca33", "#5d4037", "#26a69a"),
)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor()
    )
    found = {"cpu": cpu, "python": platform.python_version()}
    return {**found, **{name: _version(name) for name in ("torch", "diffusers", "cache-dit", "teaspec")}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def as_json(comparisons: Sequence[Comparison], settings: dict[str, Any]) -> dict[str, Any]:
    """Everything that was measured, and how."""
    return {"machine": machine(), "settings": settings, "comparisons": [asdict(one) for one in comparisons]}


def as_markdown(comparison: Comparison) -> str:
    """What each cache reaches at equal cost; then a line for each cache and value, and what failed."""
    named = f"true CFG, scale {comparison.guidance:g}" if comparison.guidance > 1 else "no guidance"
    lines = [f"### {comparison.model.capitalize()}, {named}", ""]
    for cost in _COSTS:
        lines += [*_at_equal_cost(comparison, cost), ""]
    lines += _points(comparison)
    if comparison.failures:
        lines += ["", "Did not run on this model:", ""]
        lines += [f"* {failure.method}: `{failure.error}`" for failure in comparison.failures]
    return "\n".join(lines) + "\n"


def _at_equal_cost(comparison: Comparison, cost: str) -> list[str]:
    lines = [
        f"| PSNR in dB at {cost} | " + " | ".join(f"{share:g}" for share in _EQUAL) + " |",
        "| --- |" + " --- |" * len(_EQUAL),
    ]
    reached: dict[str, list[list[float]]] = {}
    for name in dict.fromkeys(point.method for point in comparison.points):
        points = [point for point in comparison.points if point.method == name]
        reached[name] = [_psnr_at(points, cost, share) for share in _EQUAL]
        lines.append(f"| {name} | " + " | ".join(map(_spread, reached[name])) + " |")
    for name in filter(_is_ours, reached):
        ahead = [_ahead(reached, name, place) for place in range(len(_EQUAL))]
        if any(ahead):
            cells = [_spread(values, "+.1f") for values in ahead]
            lines.append(f"| *{name}: ahead of the best other cache* | " + " | ".join(cells) + " |")
    return lines


def _is_ours(name: str) -> bool:
    return name.startswith("teaspec")


def _ahead(reached: Mapping[str, Sequence[Sequence[float]]], name: str, place: int) -> list[float]:
    """How far one of ours is ahead of what is best of all others at a cost, for each seed by itself."""
    mine = reached[name][place]
    others = [values[place] for other, values in reached.items() if not _is_ours(other) and values[place]]
    return [one - max(theirs) for one, *theirs in zip(mine, *others, strict=True)] if mine and others else []


def _spread(values: Sequence[float], form: str = ".1f") -> str:
    """The mean over the seeds, and the lowest and the highest where there are several."""
    if not values:
        return ""
    mean = format(statistics.mean(values), form)
    return mean if len(values) == 1 else f"{mean} ({min(values):{form}} to {max(values):{form}})"


def _psnr_at(points: Sequence[Point], cost: str, share: float) -> list[float]:
    """PSNR of a cache at a cost, on the line between its points on either side, for each seed; else nothing."""
    reached = []
    for seed in range(len(points[0].outcomes)):
        known = sorted(
            (_costs(point, cost)[seed], psnr) for point in points if (psnr := point.outcomes[seed].psnr) is not None
        )
        for (below, low), (above, high) in pairwise(known):
            if below <= share <= above:
                reached.append(low if above == below else low + (high - low) * (share - below) / (above - below))
                break
    return reached if len(reached) == len(points[0].outcomes) else []


def _costs(point: Point, cost: str) -> list[float]:
    """What a point costs with each seed; time is taken with one of them."""
    return [point.time_ratio] * len(point.outcomes) if cost == "time" else point.of(cost)


def _points(comparison: Comparison) -> list[str]:
    read = _spread([100 * one for one in comparison.accuracies])
    lines = [
        "| cache | knob | value | operations | evaluations | time | lowest to highest | PSNR dB | SSIM | relative L1 "
        "| recognised % |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| uncached, {_seconds(comparison)} | | | 1 | 1 | 1 | | | | | {read} |",
    ]
    for one in comparison.points:
        cells = (
            *(one.method, one.knob, f"{one.value:g}"),
            *(f"{one.mean(cost):.3f}" for cost in ("operations", "evaluations")),
            *(f"{one.time_ratio:.3f}", f"{min(one.time_ratios):.3f} to {max(one.time_ratios):.3f}"),
            *("equal" if one.mean("psnr") is None else _spread(one.of("psnr")), f"{one.mean('ssim'):.4f}"),
            *(f"{one.mean('l1'):.4f}", _spread([100 * share for share in one.of("accuracy")])),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _seconds(comparison: Comparison) -> str:
    times = comparison.seconds
    return f"{statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})"


def draw(comparisons: Sequence[Comparison], path: Path) -> None:
    """Draws each measure over each cost, a line for each cache; a group of rows for each guidance scale."""
    rows, columns = len(comparisons) * len(_COSTS), len(_MEASURES)
    figure = Figure(figsize=(5.2 * columns, 3.4 * rows + 0.9), dpi=120, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    names = list(dict.fromkeys(point.method for one in comparisons for point in one.points))
    for number, comparison in enumerate(comparisons):
        guidance = f"CFG {comparison.guidance:g}" if comparison.guidance > 1 else "no guidance"
        for row, (cost, cost_label) in enumerate(_COSTS.items()):
            for column, (measure, label) in enumerate(_MEASURES):
                axes = grid[number * len(_COSTS) + row, column]
                _draw(axes, comparison, names, cost, measure)
                axes.set_xlabel(f"{cost_label}, uncached = 1")
                axes.set_ylabel(label)
                axes.set_title(f"{comparison.model}, {guidance}", fontsize="small", loc="left")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize="small")
    figure.savefig(path)


def _draw(axes: Axes, comparison: Comparison, names: list[str], cost: str, measure: str) -> None:
    ours = list(filter(_is_ours, names))
    others = [name for name in names if name not in ours]
    for name in (*others, *ours):  # ours on top
        points = [one for one in comparison.points if one.method == name and one.mean("psnr") is not None]
        points.sort(key=lambda one: statistics.mean(_costs(one, cost)))
        style: dict[str, Any]
        if name in ours:
            style = {"marker": "o", "linewidth": 2, "color": _OURS[ours.index(name) % len(_OURS)]}
        else:
            number = others.index(name)
            style = {"marker": _MARKERS[number % len(_MARKERS)], "linewidth": 1.1, "linestyle": "--"}
            style["color"] = _OTHERS[number % len(_OTHERS)]
        means = [statistics.mean(one.of(measure)) for one in points]
        lengths = [
            [mean - min(one.of(measure)) for one, mean in zip(points, means, strict=True)],
            [max(one.of(measure)) - mean for one, mean in zip(points, means, strict=True)],
        ]
        axes.errorbar(
            [statistics.mean(_costs(one, cost)) for one in points],
            means,
            yerr=lengths,
            elinewidth=0.8,
            markersize=5,
            label=name,
            **style,
        )
    if measure == "accuracy":
        axes.axhline(statistics.mean(comparison.accuracies), color="#777777", linewidth=1, linestyle=":")
    axes.set_xlim(0, 1.1)
    axes.grid(color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
