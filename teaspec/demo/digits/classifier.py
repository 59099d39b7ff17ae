"""A small network that reads digits: it says whether a generated one shows what was asked for."""

from __future__ import annotations

from torch import Tensor, nn


class Classifier(nn.Sequential):
    """Three convolutions and a linear layer over images of shape (batch, 16, 16), ink in [0, 1]."""

    def __init__(self, width: int = 24) -> None:
        super().__init__(
            nn.Unflatten(1, (1, 16)),
            *(nn.Conv2d(1, width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 3, padding=1, stride=2), nn.ReLU()),
            *(nn.Conv2d(2 * width, 2 * width, 3, padding=1, stride=2), nn.ReLU()),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(2 * width * 16, 10),
        )


def accuracy(classifier: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images in which the classifier, in evaluation mode, reads the wanted digit."""
    read = classifier(images).argmax(dim=-1)
    return float((read == labels).float().mean())
