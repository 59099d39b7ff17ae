"""The picture of the decisions: one row per threshold, one bar per step."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from teaspec.demo.result import CachedRun

_COLOURS = {"compute": "#d9652b", "reuse": "#7fb2d9"}
_LINE = "#444444"


def draw(runs: tuple[CachedRun, ...], path: Path) -> None:
    """Draws the decision at each step with the accumulated distance it was made on.

    Args:
        runs: One row each; at least one.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(9, 1.0 + 1.55 * len(runs)), dpi=150, layout="constrained")
    rows = figure.subplots(len(runs), 1, sharex=True, squeeze=False)[:, 0]
    for axes, run in zip(rows, runs, strict=True):
        _draw_row(axes, run)
    rows[-1].set_xlabel("denoising step")
    figure.supylabel("accumulated distance", fontsize="medium")
    figure.suptitle("What TeaCache decided at each step", fontsize="large", x=0.01, ha="left")
    figure.legend(
        handles=[
            Patch(color=_COLOURS["compute"], label="computed"),
            Patch(color=_COLOURS["reuse"], label="reused"),
            Line2D([], [], color=_LINE, linestyle="--", linewidth=1, label="threshold"),
        ],
        loc="outside upper right",
        ncols=3,
        frameon=False,
    )
    figure.savefig(path, format="png")


def _draw_row(axes: Axes, run: CachedRun) -> None:
    numbers = range(1, len(run.steps) + 1)
    colours = [_COLOURS[step.decision] for step in run.steps]
    axes.bar(numbers, [step.accumulated for step in run.steps], color=colours, width=0.8)
    axes.axhline(run.threshold, color=_LINE, linestyle="--", linewidth=1)
    top = 1.15 * max(run.threshold, *(step.accumulated for step in run.steps))
    # The bar of a step whose distance was not measured has no height; its colour shows in this strip in any case.
    strip = 0.08 * top
    axes.bar(numbers, strip, bottom=-1.3 * strip, color=colours, width=0.8)
    axes.set_ylim(-1.5 * strip, top)
    axes.set_xlim(0.3, len(run.steps) + 0.7)
    axes.set_title(
        f"threshold {run.threshold:g}: {run.computed} of {len(run.steps)} steps computed", fontsize="medium", loc="left"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(axis="x", integer=True, nbins=15)
    axes.locator_params(axis="y", nbins=5)
