"""`python -m tools.digits.quality`: how many digits of the shipped model are recognised, uncached and cached."""

from __future__ import annotations

import torch

from teaspec.demo.digits.classifier import accuracy
from teaspec.demo.settings import RECOMMENDED, DemoSettings, Setting
from teaspec.demo.subject import Subject
from tools.digits.data import load

IMAGES, SEED = 200, 3
"""Not the seed of the demo."""

GUIDANCES = (1.0, 2.0)
CACHED = (Setting(RECOMMENDED, 0), Setting(RECOMMENDED, 1))


@torch.no_grad()
def main() -> None:
    """Prints how well the digits are read, by setting, as the Markdown table of docs/digits.md."""
    subject = Subject.make(DemoSettings(count=IMAGES, seed=SEED))
    classifier = subject.model.classifier
    held_out = load()[1]
    print("| | recognised |\n| --- | --- |")
    real = accuracy(classifier, held_out.images, held_out.labels)
    print(f"| real digits that were held out ({len(held_out)}) | {real:.1%} |")
    for guidance in GUIDANCES:
        what = f"with true CFG, scale {guidance:g}" if guidance > 1 else "without guidance"
        plain = subject.model.recognised(subject.generate(guidance))
        print(f"| generated {what} ({IMAGES}, seed {SEED}) | {plain:.1%} |")
        for setting in CACHED:
            with subject.hooked(setting):
                cached = subject.model.recognised(subject.generate(guidance))
            print(f"| the same at a threshold of {setting.threshold:g}, order {setting.order} | {cached:.1%} |")


if __name__ == "__main__":
    main()
