"""The contact sheet: the same images or videos from the same noise, uncached and cached, a row each."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from teaspec.demo.result import Cached, Comparison
from teaspec.pictures.rows import draw_rows
from teaspec.pictures.strips import side_by_side

SHOWN = 20
"""Images of a row."""

SHOWN_VIDEOS = slice(1, 8, 3)
"""Videos of a row: the second, the fifth and the eighth move, turn and shrink."""

_GAP = 2


def draw_sheet(comparisons: tuple[Comparison, ...], what: str, path: Path) -> None:
    """Draws a group of rows for each guidance scale: uncached, then each setting.

    Args:
        comparisons: What was generated; at least one.
        what: What it is called.
        path: The PNG file to write.
    """
    rows = sum(1 + len(one.cached) for one in comparisons)
    figure = Figure(figsize=(11, 0.62 * rows + 0.45 * len(comparisons)), dpi=150, layout="constrained")
    parts = figure.subfigures(len(comparisons), 1, squeeze=False)[:, 0]
    for part, comparison in zip(parts, comparisons, strict=True):
        guidance = comparison.uncached.guidance
        named = f"true CFG, scale {guidance:g}" if guidance > 1 else "no guidance"
        title = f"{named}: the same {what} from the same noise"
        labelled = [(_uncached_label(comparison), comparison.uncached.made)]
        labelled += [(_label(one), one.made) for one in comparison.cached]
        draw_rows(part, title, [(label, strip(made)) for label, made in labelled])
    figure.savefig(path, format="png")


def strip(made: Tensor) -> Tensor:
    """Lays images of shape (count, side, side) side by side, or the frames of videos (count, frames, side, side)."""
    if made.dim() == 3:
        return side_by_side(made[:SHOWN], _GAP)
    return side_by_side(torch.stack([side_by_side(video, _GAP) for video in made[SHOWN_VIDEOS]]), _GAP)


def _uncached_label(comparison: Comparison) -> str:
    first = comparison.cached[0]
    return f"uncached\n{first.calls} of {first.calls} computed"


def _label(one: Cached) -> str:
    order = ", order 1" if one.setting.order else ""
    return f"threshold {one.setting.threshold:g}{order}\n{one.computed} of {one.calls}, {one.psnr:.1f} dB"
