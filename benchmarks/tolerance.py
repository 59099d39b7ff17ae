"""What `tolerance` means: the relative error of the result beside the one that was asked for.

Both trained models, with and without guidance, at three numbers of steps. For each tolerance: the median, over the
prompts, of the norm of what an image or video differs by from the uncached one, over the norm of that; its ratio to the
tolerance; and the steps of a branch that were computed. By itself, and with the gain that `teaspec calibrate
--tolerance` measures, on other prompts and noise, at 28 steps.

    python benchmarks/tolerance.py [--model digits] [--count 20] [--forecast line] [--steps 20,28,50] [--json FILE]

The table is Markdown.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from comparison.planned import errors_of
from comparison.subject import STEPS, Subject

import teaspec
from teaspec.calibrate.choosing import Added
from teaspec.calibrate.gain import Weighing, find_gain
from teaspec.calibrate.trials import Trials
from teaspec.demo.models import MODELS
from teaspec.demo.subject import quiet
from teaspec.runtime.rules.forecast import forecast_of

TOLERANCES = (0.005, 0.01, 0.02, 0.05, 0.1)
GUIDANCES = (1.0, 2.0)

LIMIT = 0.5
"""`residual_limit` of the recommended forecasts."""


@dataclass(frozen=True)
class Row:
    """One tolerance on one model.

    Attributes:
        model: Its name.
        guidance: Scale of true CFG, 1 for none.
        steps: Denoising steps.
        gain: What is expected is multiplied by it; 1 where nothing was measured.
        tolerance: What was asked for.
        error: The relative error of the result, median over prompts.
        computed: Steps of a branch that were computed.
    """

    model: str
    guidance: float
    steps: int
    gain: float
    tolerance: float
    error: float
    computed: float

    def text(self) -> str:
        """The row as Markdown."""
        settings = (f"{value:g}" for value in (self.guidance, self.steps, self.gain, self.tolerance, self.computed))
        cells = (self.model, *settings)
        return "| " + " | ".join(map(str, (*cells, f"{self.error:.4f}", f"{self.error / self.tolerance:.2f}"))) + " |"


def gain_of(subject: Subject, added: Added, seed: int) -> float:
    """The gain of a model at its guidance, measured on two seeds of which the second judges."""
    pipeline: Any = subject.twin()
    trials = Trials(pipeline, lambda number: subject.generate(pipeline, number, STEPS), errors_of)
    return find_gain(trials, Weighing(TOLERANCES, added, [seed], [seed + 1])).gain.gain


def measured(subject: Subject, steps: int, gain: float, added: Added, seed: int) -> Iterator[Row]:
    """One row for each tolerance."""
    pipeline = subject.twin()
    uncached = subject.generate(pipeline, seed, steps)
    for tolerance in TOLERANCES:
        rule = teaspec.Tolerance(tolerance, forecast_of(*added).power, gain)
        with teaspec.enabled(pipeline, rule=rule, **added.settings):
            made = subject.generate(pipeline, seed, steps)
            computed = teaspec.stats(pipeline).computed / (2 if subject.guidance > 1 else 1)
        error = median(errors_of(made, uncached))
        yield Row(subject.model.name, subject.guidance, steps, gain, tolerance, error, computed)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="What a tolerance means on the trained models.")
    parser.add_argument("--model", choices=tuple(MODELS), help="one of the two; both if left out")
    parser.add_argument("--count", type=int, default=20, help="prompts")
    parser.add_argument("--forecast", choices=("last", "line", "parabola", "blend"), default="line")
    parser.add_argument("--steps", default="20,28,50", help="denoising steps, with commas")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    print("| model | guidance | steps | gain | tolerance | computed | error | error / tolerance |\n|" + " --- |" * 8)
    added = Added(options.forecast, 1.0 if options.forecast == "last" else LIMIT)
    rows = []
    with quiet():
        for name in [options.model] if options.model else MODELS:
            for guidance in GUIDANCES:
                subject = Subject.make(name, options.count, guidance)
                gain = gain_of(subject, added, options.seed + 1000)
                for steps in map(int, options.steps.split(",")):
                    for row in (one for by in (1.0, gain) for one in measured(subject, steps, by, added, options.seed)):
                        rows.append(row)
                        print(row.text(), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
