"""The picture that `teaspec.stats(...).plot()` draws: one row per branch, one bar per step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

try:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("plotting needs matplotlib; `pip install teaspec[demo]` brings it") from error

if TYPE_CHECKING:
    from teaspec.runtime.report.data import BranchStats, Totals, TransformerStats

_COLOURS = {"compute": "#d9652b", "reuse": "#7fb2d9"}
_LINE = "#444444"
_MEASURED = "#222222"

_HIGHEST = 4
"""So many times the line is shown."""


def draw(stats: Totals) -> Figure:
    """Draws the number that each decision was made on, what the step added to it, and what it was compared with.

    Raises:
        ValueError: If nothing was decided yet.
    """
    rows = [(one, branch) for one in stats.transformers for branch in one.branches]
    if not rows:
        raise ValueError("TeaCache has not decided anything yet; there is nothing to plot")
    figure = Figure(figsize=(9, 1.0 + 1.7 * len(rows)), dpi=150, layout="constrained")
    for axes, (one, branch) in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        _draw_row(axes, one, branch)
    figure.supxlabel("denoising step", fontsize="medium")
    figure.supylabel(_all_of([one.compared for one, _ in rows]), fontsize="medium")
    handles: list[Artist] = [Patch(color=colour, label=f"{choice}d") for choice, colour in _COLOURS.items()]
    added = _all_of([one.added for one, _ in rows])
    if added:
        handles.append(Line2D([], [], color=_MEASURED, marker="o", markersize=3, linewidth=0, label=added))
    if any(one.bound is not None for one, _ in rows):
        handles.append(Line2D([], [], color=_LINE, linestyle="--", linewidth=1, label="compared with"))
    figure.legend(handles=handles, loc="outside upper right", ncols=4, frameon=False)
    return figure


def _all_of(names: list[str | None]) -> str:
    return ", ".join(dict.fromkeys(name for name in names if name is not None))


def _cut_off(axes: Axes, bound: float, bars: list[tuple[int, float]]) -> None:
    """Keeps the line apart from nought beside bars that are much higher: those are cut, and numbered."""
    limit = _HIGHEST * bound
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, -limit), min(top, limit))
    for step, value in bars:
        if abs(value) > limit:
            edge, side = (limit, "top") if value > 0 else (-limit, "bottom")
            axes.annotate(f"{value:.3g}", (step, edge), ha="center", va=side, fontsize="x-small")


def _values(branch: BranchStats, name: str | None) -> list[float]:
    """Returns one number of each step; what was not measured is not a number."""
    return [math.nan if name is None else one.numbers.get(name, math.nan) for one in branch.decisions]


def _draw_row(axes: Axes, transformer: TransformerStats, branch: BranchStats) -> None:
    numbers = [decision.step for decision in branch.decisions]
    bars, points = (_values(branch, name) for name in (transformer.compared, transformer.added))
    sums = [0.0 if math.isnan(value) else value for value in bars]
    colours = [_COLOURS[decision.decision] for decision in branch.decisions]
    axes.bar(numbers, sums, color=colours, width=0.8)
    axes.plot(numbers, points, color=_MEASURED, marker="o", markersize=3, linewidth=0)
    if transformer.bound is None:
        axes.set_yticks([])
    else:
        axes.axhline(transformer.bound, color=_LINE, linestyle="--", linewidth=1)
        _cut_off(axes, transformer.bound, list(zip(numbers, sums, strict=True)))
    # The bar of a step in which nothing was measured has no height; its colour shows in this strip in any case.
    axes.scatter(numbers, [0.0] * len(numbers), c=colours, marker="s", s=14, zorder=3, clip_on=False)
    title = f"{transformer.name}, {branch.branch}: {branch.computed} computed, {branch.reused} reused"
    axes.set_title(title, fontsize="medium", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(axis="x", integer=True, nbins=15)
