"""`python -m tools.digits [FOLDER]`, or `make digits`: trains classifier and model and writes what the demo loads."""

from __future__ import annotations

from pathlib import Path

import torch

from teaspec.demo.digits import FOLDER
from teaspec.demo.digits.classifier import accuracy
from teaspec.demo.digits.model import DigitsModel
from teaspec.demo.digits.prompts import Prompts
from tools.digits.classify import train_classifier
from tools.digits.data import load
from tools.digits.train import SCHEDULE, train
from tools.training import Schedule, arguments

CLASSIFIER_STEPS = 1500
GENERATED = 100
STEPS = 28
GUIDANCE = 2.0


def main(folder: Path, schedule: Schedule) -> None:
    """Trains and saves, each time the model has been measured."""
    digits, held_out = load()
    classifier = train_classifier(digits.batch, schedule.seed, CLASSIFIER_STEPS)
    print(
        f"classifier: {accuracy(classifier, held_out.images, held_out.labels):.2%} of {len(held_out)} held-out digits"
    )
    prompts = Prompts.draw(torch.Generator().manual_seed(schedule.seed))
    for progress in train(digits, prompts, schedule):
        model = DigitsModel(progress.model, prompts, classifier)
        model.save(folder)
        plain, guided = (_recognised(model, scale) for scale in (1.0, GUIDANCE))
        print(
            f"{progress.text(schedule)}, {plain:.1%} of {GENERATED} generated digits recognised, "
            f"{guided:.1%} with guidance {GUIDANCE:g}",
            flush=True,
        )


@torch.no_grad()
def _recognised(model: DigitsModel, guidance: float) -> float:
    pipeline = model.pipeline(model.transformer)
    return model.recognised(model.generate(pipeline, GENERATED, seed=0, steps=STEPS, guidance=guidance))


if __name__ == "__main__":
    main(*arguments("digits", FOLDER, SCHEDULE))
