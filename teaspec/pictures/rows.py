"""Rows of pictures in a figure, each with a label before it."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import SubFigure
from torch import Tensor


def draw_rows(part: SubFigure, title: str, rows: Iterable[tuple[str, Tensor]]) -> None:
    """Draws a group of rows.

    Args:
        part: Where.
        title: Stands above it.
        rows: Each with its label: grey of shape (height, width), where 1 is ink; or (height, width, channels).
    """
    labelled = list(rows)
    part.suptitle(title, fontsize="medium", x=0.01, ha="left")
    for axes, (label, image) in zip(part.subplots(len(labelled), 1, squeeze=False)[:, 0], labelled, strict=True):
        axes.imshow(image.numpy(), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize="small")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
