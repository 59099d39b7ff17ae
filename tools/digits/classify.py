"""Training of the classifier: a few seconds."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from teaspec.demo.digits.classifier import Classifier
from tools.digits.data import Digits

STEPS = 1500
BATCH = 128


def train_classifier(digits: Digits, seed: int) -> Classifier:
    """Trains on real digits and returns the classifier in evaluation mode."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    classifier = Classifier()
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=STEPS)
    for _ in range(STEPS):
        images, labels = digits.batch(BATCH, generator)
        loss = cross_entropy(classifier(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return classifier.eval()
