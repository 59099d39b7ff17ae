"""What `tolerance` means: the relative error of the result beside the one that was asked for.

Both trained models, with and without guidance, at three numbers of steps. For each tolerance: the median, over the
prompts, of the norm of what an image or video differs by from the uncached one, over the norm of that; its ratio to the
tolerance; and the steps of a branch that were computed.

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

import torch
from comparison.subject import Subject

import teaspec
from teaspec.demo.models import MODELS
from teaspec.demo.subject import quiet

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
        tolerance: What was asked for.
        error: The relative error of the result, median over prompts.
        computed: Steps of a branch that were computed.
    """

    model: str
    guidance: float
    steps: int
    tolerance: float
    error: float
    computed: float

    def text(self) -> str:
        """The row as Markdown."""
        cells = (self.model, f"{self.guidance:g}", self.steps, f"{self.tolerance:g}", f"{self.computed:g}")
        return "| " + " | ".join(map(str, (*cells, f"{self.error:.4f}", f"{self.error / self.tolerance:.2f}"))) + " |"


def error_of(made: torch.Tensor, uncached: torch.Tensor) -> float:
    """The relative error, median over the first dimension."""
    pairs = zip(made.flatten(1), uncached.flatten(1), strict=True)
    return median(((one - other).norm() / other.norm()).item() for one, other in pairs)


def measured(subject: Subject, steps: int, forecast: str, seed: int) -> Iterator[Row]:
    """One row for each tolerance."""
    pipeline = subject.twin()
    uncached = subject.generate(pipeline, seed, steps)
    for tolerance in TOLERANCES:
        with teaspec.enabled(pipeline, tolerance=tolerance, forecast=forecast, residual_limit=LIMIT):
            made = subject.generate(pipeline, seed, steps)
            computed = teaspec.stats(pipeline).computed / (2 if subject.guidance > 1 else 1)
        yield Row(subject.model.name, subject.guidance, steps, tolerance, error_of(made, uncached), computed)


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
    print("| model | guidance | steps | tolerance | computed | error | error / tolerance |\n|" + " --- |" * 7)
    rows = []
    with quiet():
        for name in [options.model] if options.model else MODELS:
            for guidance in GUIDANCES:
                subject = Subject.make(name, options.count, guidance)
                for steps in map(int, options.steps.split(",")):
                    for row in measured(subject, steps, options.forecast, options.seed):
                        rows.append(row)
                        print(row.text(), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
