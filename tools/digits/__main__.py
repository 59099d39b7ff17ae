"""`python -m tools.digits [FOLDER]`, or `make digits`: trains classifier and model and writes what the demo loads."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import FluxTransformer2DModel

from teaspec.demo.digits import FOLDER
from teaspec.demo.digits.classifier import Classifier, accuracy
from teaspec.demo.digits.files import save
from teaspec.demo.digits.pipeline import generate, pipeline_of
from teaspec.demo.digits.prompts import Prompts
from tools.digits.classify import train_classifier
from tools.digits.data import load
from tools.digits.train import Schedule, train

GENERATED = 100
STEPS = 28
GUIDANCE = 2.0


def main(folder: Path, schedule: Schedule) -> None:
    """Trains and saves, each time the model has been measured."""
    digits, held_out = load()
    classifier = train_classifier(digits, schedule.seed)
    print(
        f"classifier: {accuracy(classifier, held_out.images, held_out.labels):.2%} of {len(held_out)} held-out digits"
    )
    prompts = Prompts.draw(torch.Generator().manual_seed(schedule.seed))
    for progress in train(digits, prompts, schedule):
        save(folder, progress.model, prompts, classifier)
        plain, guided = (_accuracy(progress.model, prompts, classifier, scale) for scale in (1.0, GUIDANCE))
        print(
            f"step {progress.step} of {schedule.steps}: loss {progress.loss:.4f}, {progress.seconds:.2f} s a step, "
            f"{plain:.1%} of {GENERATED} generated digits recognised, {guided:.1%} with guidance {GUIDANCE:g}",
            flush=True,
        )


@torch.no_grad()
def _accuracy(model: FluxTransformer2DModel, prompts: Prompts, classifier: Classifier, guidance: float) -> float:
    labels = torch.arange(GENERATED) % 10
    images = generate(pipeline_of(model), prompts, labels, seed=0, steps=STEPS, guidance=guidance)
    return accuracy(classifier, images, labels)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.digits", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="where the weights go")
    parser.add_argument("--steps", type=int, default=Schedule.steps, help="training steps")
    parser.add_argument("--seed", type=int, default=Schedule.seed)
    arguments = parser.parse_args()
    main(arguments.folder, Schedule(steps=arguments.steps, seed=arguments.seed))
