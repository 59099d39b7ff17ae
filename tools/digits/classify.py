"""Training of a classifier of digits: a few seconds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from teaspec.demo.digits.classifier import Classifier

BATCH = 128


def train_classifier(
    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]], seed: int, steps: int
) -> Classifier:
    """Trains on real digits and returns the classifier in evaluation mode.

    Args:
        draw: Draws so many images, and the digits that they show.
        seed: Of the weights and of what is drawn.
        steps: Training steps.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    classifier = Classifier()
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    for _ in range(steps):
        images, labels = draw(BATCH, generator)
        loss = cross_entropy(classifier(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return classifier.eval()
