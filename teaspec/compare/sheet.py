"""The contact sheet: the same prompts from the same noise, uncached and with each setting, a row each."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import pad

from teaspec.compare.result import Comparison, Measured
from teaspec.compare.thumbnails import strip_of
from teaspec.compare.words import decibels, share
from teaspec.pictures.rows import draw_rows

_WIDTH, _LABELS, _TITLE = 11.0, 2.3, 0.4
"""Inches: of the sheet, of the labels at its left, of a title."""


def draw_sheet(comparison: Comparison, path: Path) -> None:
    """Draws the images of all motifs that are shown in one group of rows; of videos a group for each motif.

    Args:
        comparison: What was compared.
        path: The PNG file to write.
    """
    groups = _groups(comparison)
    heights = [_TITLE + sum(_height(image) for _, image in rows) for _, rows in groups]
    figure = Figure(figsize=(_WIDTH, sum(heights)), dpi=150, layout="constrained")
    parts = figure.subfigures(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, (title, rows) in zip(parts, groups, strict=True):
        draw_rows(part, title, rows)
    figure.savefig(path, format="png")


def _groups(comparison: Comparison) -> list[tuple[str, list[tuple[str, Tensor]]]]:
    labels = ["uncached", *map(_label, comparison.measured)]
    strips = [[strip_of(clip) for clip in (one.uncached, *one.cached)] for one in comparison.shown]
    if comparison.is_video:
        titles = [f"{one.motif.prompt}, seed {one.motif.seed}" for one in comparison.shown]
        return [(title, list(zip(labels, rows, strict=True))) for title, rows in zip(titles, strips, strict=True)]
    rows = [_in_a_row([column[row] for column in strips]) for row in range(len(labels))]
    return [(f"{comparison.pipeline}: the same prompts from the same noise", list(zip(labels, rows, strict=True)))]


def _in_a_row(images: list[Tensor]) -> Tensor:
    """Images of any heights, side by side on white paper."""
    height = max(len(one) for one in images)
    gap = max(1, height // 24)
    return torch.cat([pad(one, (0, 0, 0, gap, 0, height - len(one)), value=1.0) for one in images], dim=1)


def _height(image: Tensor) -> float:
    height, width = image.shape[:2]
    return max(0.35, min(height / width * (_WIDTH - _LABELS), 3.0)) + 0.08


def _label(one: Measured) -> str:
    return f"{one.setting.label}\n{share(one.computed, one.steps)}, {decibels(one.psnr.median)}"
