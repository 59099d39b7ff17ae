"""`python -m tools.videos.quality`: how many videos of the shipped model are recognised, uncached and cached."""

from __future__ import annotations

import torch
from torch import Tensor

from teaspec.demo.settings import VIDEO_RECOMMENDED, VIDEOS, DemoSettings, Setting
from teaspec.demo.subject import Subject
from teaspec.demo.videos.conditions import asked, held_out
from teaspec.demo.videos.model import VideoModel
from teaspec.demo.videos.motions import read_motions
from teaspec.demo.videos.recognised import read_digits, recognised
from tools.digits.data import load
from tools.videos.data import Videos

COUNT, SEED = 160, 3
"""All pairs of digit and motion twice; not the seed of the demo."""

GUIDANCES = (1.0, 2.0)
CACHED = (Setting(VIDEO_RECOMMENDED, 0), Setting(VIDEO_RECOMMENDED, 1))


def by_pairs(model: VideoModel, count: int, seed: int, guidance: float) -> tuple[Tensor, Tensor]:
    """Which generated videos are recognised: of pairs that the model was trained on, and of those held out."""
    pipeline = model.pipeline(model.transformer)
    made = model.generate(pipeline, count, seed=seed, steps=VIDEOS.steps, guidance=guidance)
    found, new = recognised(model.classifier, made, *asked(count)), held_out()[asked(count)]
    return found[~new], found[new]


def share(found: Tensor) -> str:
    """The share of what is true, as text."""
    return f"{float(found.float().mean()):.1%}"


@torch.no_grad()
def main() -> None:
    """Prints how well digits and motions are read, by setting, as the Markdown table of docs/videos.md."""
    subject = Subject.make(DemoSettings(model="videos", count=COUNT, seed=SEED))
    print("| | digit | motion | both | both, in pairs not trained on |\n| --- | --- | --- | --- | --- |")
    real = Videos.all_pairs(load()[1]).batch(1000, torch.Generator().manual_seed(SEED))
    print(_row("real videos of digits that were held out (1,000)", subject, *real))
    for guidance in GUIDANCES:
        what = f"with guidance, scale {guidance:g}" if guidance > 1 else "without guidance"
        made = subject.generate(guidance)
        print(_row(f"generated {what} ({COUNT}, seed {SEED})", subject, made, *asked(COUNT)))
        for setting in CACHED:
            with subject.hooked(setting):
                made = subject.generate(guidance)
            named = f"the same at a threshold of {setting.threshold:g}, order {setting.order}"
            print(_row(named, subject, made, *asked(COUNT)))


def _row(what: str, subject: Subject, videos: Tensor, digits: Tensor, motions: Tensor) -> str:
    classifier = subject.model.classifier
    both, new = recognised(classifier, videos, digits, motions), held_out()[digits, motions]
    shares = (read_digits(classifier, videos) == digits, read_motions(videos) == motions, both, both[new])
    return f"| {what} | " + " | ".join(map(share, shares)) + " |"


if __name__ == "__main__":
    main()
