"""The picture of the decisions: a row for each setting, a column for each guidance scale, a bar for each step."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from teaspec.demo.result import Cached, Comparison

_COLOURS = {"compute": "#d9652b", "reuse": "#7fb2d9"}
_LINE = "#444444"


def draw(comparisons: tuple[Comparison, ...], path: Path) -> None:
    """Draws the decision at each step with the accumulated distance it was made on.

    Args:
        comparisons: A column each; at least one.
        path: The PNG file to write.
    """
    rows, columns = len(comparisons[0].cached), len(comparisons)
    figure = Figure(figsize=(1.5 + 5.5 * columns, 1.2 + 1.5 * rows), dpi=150, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for column, comparison in enumerate(comparisons):
        for row, one in enumerate(comparison.cached):
            _draw(grid[row, column], one, comparison.uncached.guidance)
        grid[-1, column].set_xlabel("denoising step")
    figure.supylabel("accumulated distance (relative L1, no unit)", fontsize="medium")
    figure.suptitle("What TeaCache decided at each step", fontsize="large", x=0.01, ha="left")
    figure.legend(
        handles=[
            Patch(color=_COLOURS["compute"], label="computed"),
            Patch(color=_COLOURS["reuse"], label="reused"),
            Line2D([], [], color=_LINE, linestyle="--", linewidth=1, label="threshold"),
            Line2D([], [], color=_LINE, linestyle="none", marker="o", markersize=3, label="second branch"),
        ],
        loc="outside upper right",
        ncols=4,
        frameon=False,
    )
    figure.savefig(path, format="png")


def _draw(axes: Axes, one: Cached, guidance: float) -> None:
    first, *others = one.branches.values()
    numbers = range(1, len(first) + 1)
    colours = [_COLOURS[step.decision] for step in first]
    axes.bar(numbers, [step.accumulated for step in first], color=colours, width=0.8)
    for other in others:
        marks = [_COLOURS[step.decision] for step in other]
        axes.scatter(numbers, [step.accumulated for step in other], c=marks, edgecolors=_LINE, linewidths=0.6, s=12)
    threshold = one.setting.threshold
    axes.axhline(threshold, color=_LINE, linestyle="--", linewidth=1)
    top = 1.15 * max(threshold, *(step.accumulated for steps in one.branches.values() for step in steps))
    # The bar of a step whose distance was not measured has no height; its colour shows in this strip in any case.
    strip = 0.08 * top
    axes.bar(numbers, strip, bottom=-1.3 * strip, color=colours, width=0.8)
    axes.set_ylim(-1.5 * strip, top)
    axes.set_xlim(0.3, len(first) + 0.7)
    named = f"CFG {guidance:g}" if guidance > 1 else "no guidance"
    axes.set_title(
        f"{named}, threshold {threshold:g}, order {one.setting.order}: {one.computed} of {one.calls} calls computed",
        fontsize="small",
        loc="left",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(axis="x", integer=True, nbins=15)
    axes.locator_params(axis="y", nbins=5)
