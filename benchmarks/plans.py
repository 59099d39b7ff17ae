"""Plans beside evenly placed steps, at equal cost, on both trained models.

Plans are searched with one batch of prompts and noise, and judged with another that took no part in it: for each prompt
the norm of what an image or video differs by from the uncached one, over the norm of that.

Plans are searched with one forecast at a time, and with all that `teaspec calibrate --budget` tries.

    python benchmarks/plans.py [--model digits] [--seen 16] [--held-out 64] [--budget 8,12]

The table is Markdown; a forecast in italics was chosen among all.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

import torch
from comparison.planned import errors_of
from comparison.subject import STEPS, Subject

from teaspec.calibrate.choosing import FORECASTS, Added, Choice, evenly
from teaspec.calibrate.plans import Search, find_plans
from teaspec.calibrate.trials import Trials
from teaspec.demo.models import MODELS
from teaspec.demo.subject import quiet
from teaspec.runtime.rules.forecast import Kind

SEEN, HELD_OUT = 0, 1
"""The number of each batch."""

ALONE = (Added("last", 1.0), Added("line", 0.5), Added("blend", 0.5))
"""Forecasts that plans are searched for by themselves."""


@dataclass(frozen=True)
class Row:
    """A plan and the even steps on prompts that were held out.

    Attributes:
        model: Its name.
        forecast: What a reused step adds.
        is_chosen: Whether it was chosen among several.
        budget: Computed steps.
        computed: Their numbers in the plan.
        plan: The relative errors of the plan, by prompt.
        even: Those of the even steps.
    """

    model: str
    forecast: str
    is_chosen: bool
    budget: int
    computed: tuple[int, ...]
    plan: tuple[float, ...]
    even: tuple[float, ...]

    def text(self) -> str:
        """The row as Markdown: medians, with the quartiles in brackets, and in how many prompts the plan is ahead."""
        wins = sum(one < other for one, other in zip(self.plan, self.even, strict=True))
        ratio = median(self.plan) / median(self.even)
        forecast = f"*{self.forecast}*" if self.is_chosen else self.forecast
        cells = (self.model, forecast, str(self.budget), _spread(self.plan), _spread(self.even), f"{ratio:.2f}")
        computed = ", ".join(map(str, self.computed))
        return "| " + " | ".join((*cells, f"{wins} of {len(self.plan)}", computed)) + " |"


def _spread(errors: tuple[float, ...]) -> str:
    low, middle, high = quantiles(errors, n=4)
    return f"{middle:.4f} ({low:.4f} to {high:.4f})"


def measured(name: str, options: Any) -> list[Row]:
    """Searches on a model and judges what was found."""
    subject = Subject.make(name, options.seen, options.guidance)
    pipeline = subject.twin()
    counts = {SEEN: options.seen, HELD_OUT: options.held_out}

    def run(number: int) -> torch.Tensor:
        return subject.model.generate(
            pipeline, counts[number], seed=options.seed + number, steps=options.steps, guidance=options.guidance
        )

    trials = Trials(pipeline, run, errors_of)
    budgets = list(map(int, options.budget.split(",")))
    rows = []
    for forecasts in (*([one] for one in ALONE), FORECASTS):
        search = Search(budgets, forecasts, [SEEN], [HELD_OUT], options.moves, ranks=False)
        for plan in find_plans(trials, search).plans:
            added, budget = Added(cast(Kind, plan.forecast), plan.limit), len(plan.computed)
            found, even = (
                trials.of(Choice(steps, added).settings(plan.steps), [HELD_OUT]).errors
                for steps in (plan.computed, evenly(budget, plan.steps))
            )
            rows.append(Row(name, str(added), len(forecasts) > 1, budget, plan.computed, found, even))
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Plans beside evenly placed steps on the trained models.")
    parser.add_argument("--model", choices=tuple(MODELS), help="one of the two; both if left out")
    parser.add_argument("--seen", type=int, default=16, help="prompts to search with")
    parser.add_argument("--held-out", type=int, default=64, help="others to judge with")
    parser.add_argument("--budget", default="8,12", help="computed steps, with commas")
    parser.add_argument("--steps", type=int, default=STEPS, help="denoising steps")
    parser.add_argument("--guidance", type=float, default=1.0, help="scale of true CFG, 1 for none")
    parser.add_argument("--moves", type=int, default=24, help="neighbours that are generated")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    with quiet():
        rows = [row for name in ([options.model] if options.model else MODELS) for row in measured(name, options)]
    headings = "model", "forecast", "budget", "plan", "even", "plan / even", "plan ahead", "steps of the plan"
    print("\n| " + " | ".join(headings) + " |\n|" + " --- |" * len(headings))
    for row in rows:
        print(row.text())
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
