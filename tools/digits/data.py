"""Real digits: 1,797 images of 8x8 pixels that come with scikit-learn, at twice the size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import interpolate, pad

from teaspec.demo.digits.pixels import SIDE

HELD_OUT = 0.2
"""Share of the images that neither the model nor the classifier is trained on."""


@dataclass(frozen=True)
class Digits:
    """Images of shape (count, 16, 16), ink in [0, 1], and the digits they show, of shape (count,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws images, each shifted by at most one pixel, and their digits."""
        chosen = torch.randint(len(self), (size,), generator=generator)
        shifts = torch.randint(3, (size, 2), generator=generator)
        # All nine shifts of an image are windows of the image with a margin.
        windows = pad(self.images[chosen], (1, 1, 1, 1)).unfold(1, SIDE, 1).unfold(2, SIDE, 1)
        return windows[torch.arange(size), shifts[:, 0], shifts[:, 1]], self.labels[chosen]


def load() -> tuple[Digits, Digits]:
    """The images to train on and those held out, the same at every call."""
    raw = load_digits()
    images = torch.from_numpy(raw.images).float().unsqueeze(1) / 16
    large = interpolate(images, size=(SIDE, SIDE), mode="bicubic", align_corners=False).clamp(0, 1).squeeze(1)
    labels = torch.from_numpy(raw.target).long()
    rows = torch.arange(len(labels)).numpy()
    train, held_out = train_test_split(rows, test_size=HELD_OUT, random_state=0, stratify=raw.target)
    return Digits(large[train], labels[train]), Digits(large[held_out], labels[held_out])
