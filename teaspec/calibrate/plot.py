"""The picture of a fit: the pairs, the polynomial and the identity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from teaspec.calibrate.fit import Fit
from teaspec.calibrate.pairs import Pairs

_POINTS = ("#4c78a8", "#e08b3c", "#59a14f", "#b07aa1")
_FIT, _IDENTITY, _NEGATIVE = "#b3261e", "#777777", "#f4c7c3"


def draw(pairs: Pairs, fit: Fit, path: Path | None = None) -> Figure:
    """Draws the pairs of each branch, the polynomial over the distances seen, and the identity.

    Args:
        pairs: What was collected.
        fit: What was fitted to it.
        path: The PNG file to write; None writes none.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(7, 5), dpi=150, layout="constrained")
    axes = figure.subplots()
    for number, branch in enumerate(sorted({one.branch for one in pairs.trajectories})):
        own = [one for one in pairs.trajectories if one.branch == branch]
        axes.scatter(
            np.concatenate([one.distances for one in own]),
            np.concatenate([one.changes for one in own]),
            s=9,
            alpha=0.5,
            linewidths=0,
            color=_POINTS[number % len(_POINTS)],
            label=f"pairs, branch {branch}",
        )
    _draw_fit(axes, fit)
    axes.set_xlabel("relative L1 change of the modulated input, per step")
    axes.set_ylabel("relative L1 change of the blocks' output, per step")
    crossed = "" if fit.cross_validated_r2 is None else f", cross-validated {fit.cross_validated_r2:.3f}"
    axes.set_title(f"{pairs.transformer_type}\n{fit.pairs} pairs, R² {fit.r2:.3f}{crossed}", fontsize="medium")
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    if path is not None:
        figure.savefig(path)
    return figure


def _draw_fit(axes: Axes, fit: Fit) -> None:
    low, high = fit.distances
    distances = np.linspace(low, high, 400)
    for number, (start, end) in enumerate(fit.negative):
        axes.axvspan(start, end, color=_NEGATIVE, alpha=0.5, label=None if number else "polynomial below 0")
    axes.plot(distances, distances, color=_IDENTITY, linestyle="--", linewidth=1.2, label="identity")
    axes.plot(distances, fit(distances), color=_FIT, linewidth=2, label=f"polynomial of degree {fit.order}")
    # The pairs decide what is shown, not a polynomial that leaves them.
    span = fit.changes[1] - min(0.0, fit.changes[0])
    axes.set_ylim(min(0.0, fit.changes[0]) - 0.05 * span, fit.changes[1] + 0.1 * span)
