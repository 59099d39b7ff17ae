"""Pictures out of whatever a pipeline returns, and what is none."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from teaspec.pictures.clips import clips_of
from teaspec.pictures.strips import evenly, side_by_side, within

Images, Frames = namedtuple("Images", "images"), namedtuple("Frames", "frames")
BYTES = np.random.default_rng(0).integers(0, 256, (2, 5, 8, 6, 3), dtype=np.uint8)
"""Two videos of five frames, eight high and six wide, colours last."""
VIDEOS = BYTES.astype(np.float32) / 255
FIRST = torch.from_numpy(VIDEOS[:, 0]).permute(0, 3, 1, 2)[:, None]
WHOLE = torch.from_numpy(VIDEOS).permute(0, 1, 4, 2, 3)


def pil(values: np.ndarray) -> Any:
    return Image.fromarray(values) if values.ndim == 3 else [pil(one) for one in values]


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (Images(pil(BYTES[:, 0])), FIRST),
        (Images(VIDEOS[:, 0]), FIRST),
        (Images(FIRST[:, 0]), FIRST),
        (Images(list(FIRST[:, 0])), FIRST),
        (Images(VIDEOS[:, 0, :4]), FIRST[..., :4, :]),
        (Images(FIRST[:, 0, ..., :3]), FIRST[..., :3]),
        ((VIDEOS[:, 0],), FIRST),
        ((pil(BYTES[:, 0]), [False, False]), FIRST),
        (VIDEOS[:, 0].astype(np.float16), FIRST),
        (BYTES[0, 0], FIRST[:1]),
        (pil(BYTES[0, 0]), FIRST[:1]),
        (Frames(pil(BYTES)), WHOLE),
        (Frames(VIDEOS), WHOLE),
        (Frames(WHOLE), WHOLE),
        (Frames(list(VIDEOS)), WHOLE),
        (Frames(VIDEOS[0]), WHOLE[:1]),
        (Frames(pil(BYTES[0])), WHOLE[:1]),
        ((VIDEOS,), WHOLE),
    ],
)
def test_what_pipelines_return_becomes_clips(output: Any, wanted: torch.Tensor) -> None:
    """Mutations: channels taken from the front of arrays; bytes not divided; frames of one video taken for images."""
    found = clips_of(output)
    assert len(found) == len(wanted)
    for one, two in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        assert one.shape == two.shape
        assert (one - two).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Images(torch.rand(1, 16, 8, 8)), r"Tensor of shape \(1, 16, 8, 8\), which is no picture"),
        (torch.randn(1, 4, 8, 8) * 3, "expected pictures, from 0 to 1"),
        (torch.full((1, 3, 4, 4), float("nan")), "not finite"),
        (np.zeros(7), r"ndarray of shape \(7,\)"),
        (Images([]), "no picture: an empty list"),
        ("three", "found a str"),
        (None, "found a NoneType"),
        (Frames([VIDEOS[0, 0], VIDEOS[0, 0, :4]]), "different sizes"),
    ],
)
def test_what_is_no_picture_is_refused(output: Any, message: str) -> None:
    """Mutations: latents clamped and taken for pictures."""
    with pytest.raises(ValueError, match=message):
        clips_of(output)


def test_pictures_side_by_side() -> None:
    """Mutations: laid below each other."""
    images = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    row = side_by_side(images, 2, paper=-1.0)
    assert row.shape == (3, 4, 14)
    assert torch.equal(row[..., :5], images[0])
    assert torch.equal(row[..., 7:12], images[1])
    assert (row[..., 5:7] == -1).all()


def test_first_and_last_frame_are_shown() -> None:
    """Mutations: the first frames taken."""
    assert evenly(torch.arange(17), 5).tolist() == [0, 4, 8, 12, 16]
    assert evenly(torch.arange(3), 5).tolist() == [0, 1, 2]


def test_large_pictures_are_made_smaller() -> None:
    """Mutations: height and width exchanged."""
    assert within(torch.rand(1, 3, 100, 50), 20).shape == (1, 3, 20, 10)
    assert within(torch.rand(1, 3, 10, 5), 20).shape == (1, 3, 10, 5)
