"""The eight motions of a digit: where it is in each frame, how a digit is drawn so, and which motion a video shows."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

MOTIONS = ("left", "right", "up", "down", "clockwise", "counterclockwise", "growing", "shrinking")
"""The conditions beside the digit, by number."""

FRAMES = 8
"""Frames of a video."""

REST = 0.625
"""Size of a digit at rest, as a share of the frame's side."""

_SHIFT, _TURN, _GROWTH = 1 / 3, math.radians(45), math.log(1.5)
"""How far from rest a motion begins and ends: in half sides of the frame, as an angle, as the logarithm of a factor."""

_MIDDLE = FRAMES // 2 - 1
"""The frame from which the others are foretold: there all motions are nearly at rest."""


def poses(motions: Tensor) -> Tensor:
    """Where the digit is in each frame, beside its pose at rest in the middle of the video.

    Args:
        motions: Numbers of motions, of shape (batch,).

    Returns:
        Affine maps of the frame, of shape (batch, frames, 3, 3); x to the right, y down, 1 at the frame's edge.
    """
    time = torch.linspace(-1, 1, FRAMES)
    still = torch.zeros(FRAMES)
    away = {
        "left": (-time * _SHIFT, still, still, still),
        "right": (time * _SHIFT, still, still, still),
        "up": (still, -time * _SHIFT, still, still),
        "down": (still, time * _SHIFT, still, still),
        "clockwise": (still, still, time * _TURN, still),
        "counterclockwise": (still, still, -time * _TURN, still),
        "growing": (still, still, still, time * _GROWTH),
        "shrinking": (still, still, still, -time * _GROWTH),
    }
    return torch.stack([affine(*away[name]) for name in MOTIONS])[motions]


def affine(right: Tensor, down: Tensor, turn: Tensor, growth: Tensor) -> Tensor:
    """Affine maps that grow (by the logarithm of a factor), turn clockwise (by an angle) and then shift."""
    factor, nothing = growth.exp(), torch.zeros_like(right)
    rows = (
        (factor * turn.cos(), -factor * turn.sin(), right),
        (factor * turn.sin(), factor * turn.cos(), down),
        (nothing, nothing, nothing + 1),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def moved(images: Tensor, maps: Tensor) -> Tensor:
    """Draws images as affine maps move them; what comes in from outside is paper.

    Args:
        images: Ink in [0, 1], of shape (batch, side, side).
        maps: Of shape (batch, count, 3, 3).

    Returns:
        Images of shape (batch, count, side, side).
    """
    (batch, count), side = maps.shape[:2], images.shape[-1]
    back = maps.inverse().flatten(0, 1)[:, :2]
    grid = affine_grid(back, [batch * count, 1, side, side], align_corners=False)
    copies = images[:, None].expand(-1, count, -1, -1).reshape(batch * count, 1, side, side)
    return grid_sample(copies, grid, align_corners=False).reshape(batch, count, side, side)


def read_motions(videos: Tensor) -> Tensor:
    """Says which motion each video shows; -1 where it rather stands still.

    From the frame in the middle each motion foretells the other frames. The one that foretells them best is read. That
    is arithmetic on the video alone: nothing of it was trained.

    Args:
        videos: Ink in [0, 1], of shape (batch, frames, side, side).
    """
    paths = poses(torch.arange(len(MOTIONS)))
    steps = paths @ paths[:, _MIDDLE, None].inverse()
    still = torch.eye(3).expand(1, FRAMES, 3, 3)
    errors = [
        (moved(videos[:, _MIDDLE], path.expand(len(videos), -1, -1, -1)) - videos).square().sum(dim=(1, 2, 3))
        for path in torch.cat([steps, still])
    ]
    best = torch.stack(errors).argmin(dim=0)
    return torch.where(best == len(MOTIONS), -1, best)
