"""`python -m tools.videos [FOLDER]`, or `make videos`: trains classifier and model and writes what the demo loads."""

from __future__ import annotations

from pathlib import Path

import torch

from teaspec.demo.videos import FOLDER
from teaspec.demo.videos.conditions import held_out
from teaspec.demo.videos.model import VideoModel
from teaspec.demo.videos.prompts import Prompts
from teaspec.demo.videos.recognised import recognised
from tools.digits.classify import train_classifier
from tools.digits.data import load
from tools.training import Schedule, arguments
from tools.videos.data import Videos
from tools.videos.quality import by_pairs, share
from tools.videos.train import SCHEDULE, train

GENERATED = 40

CLASSIFIER_STEPS, CLASSIFIER_SEED = 3000, 1
"""Frames are harder to read than digits at rest. The seed is not that of the model: they share no draw."""


def main(folder: Path, schedule: Schedule) -> None:
    """Trains and saves, each time the model has been measured."""
    digits, unseen = load()
    classifier = train_classifier(Videos.all_pairs(digits).frames, CLASSIFIER_SEED, CLASSIFIER_STEPS)
    real, *wanted = Videos.all_pairs(unseen).batch(1000, torch.Generator().manual_seed(CLASSIFIER_SEED))
    print(f"real videos of held-out digits: {share(recognised(classifier, real, *wanted))} recognised", flush=True)
    prompts = Prompts.draw(torch.Generator().manual_seed(schedule.seed))
    for progress in train(Videos(digits, ~held_out()), prompts, schedule):
        model = VideoModel(progress.model, prompts, classifier)
        model.save(folder)
        plain, guided = (" and ".join(map(share, by_pairs(model, GENERATED, 0, scale))) for scale in (1.0, 2.0))
        print(
            f"{progress.text(schedule)}, of {GENERATED} generated videos recognised in pairs trained on and others "
            f"{plain}, with guidance 2 {guided}",
            flush=True,
        )


if __name__ == "__main__":
    main(*arguments("videos", FOLDER, SCHEDULE))
