"""Every training-free cache that runs on the trained models, over its own knob: quality against cost.

    python benchmarks/compare.py [--quick] [--models digits videos] [--only TEXT] [--output FOLDER]

Same model, seeds and steps for all, beside plain generations with fewer steps; timed interleaved. Both models are
measured side by side, each on half of the cores. Writes compare.json, compare.md and a picture for each model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from comparison.measure import Comparison, compare
from comparison.methods import calibrate, methods
from comparison.show import as_json, as_markdown, draw
from comparison.side_by_side import side_by_side
from comparison.subject import Subject

from teaspec.calibrate import Fit
from teaspec.calibrate.choosing import FORECASTS, Added
from teaspec.demo.memory import keep_freed_memory

COUNTS, QUICK_COUNTS = {"digits": 24, "videos": 6}, {"digits": 16, "videos": 4}
"""Images or videos of a generation: as many as two cores need about a second for."""

MOVES, QUICK_MOVES = 24, 2
"""Neighbours of a plan that are generated."""

QUICK_FORECASTS = (Added("blend", 0.5), Added("blend", 1.0))
"""What the reused steps of a plan may add with `--quick`; otherwise all that `teaspec calibrate --budget` tries."""


@dataclass(frozen=True)
class Measuring:
    """What is measured of each model.

    Attributes:
        counts: Images or videos of a generation, by model.
        seeds: Seeds of the noise that quality is measured on.
        repetitions: How often everything is timed.
        guidance: Scales of true CFG.
        only: Only the caches whose name has this in it.
        every: Only each so many-th value of a knob.
        moves: Neighbours of a plan that are generated.
        forecasts: What the reused steps of a plan may add.
    """

    counts: Mapping[str, int]
    seeds: int
    repetitions: int
    guidance: tuple[float, ...]
    only: str
    every: int = 1
    moves: int = MOVES
    forecasts: tuple[Added, ...] = FORECASTS

    @torch.no_grad()
    def measured(self, name: str) -> list[tuple[Comparison, Fit]]:
        """Compares all caches on a model, at each guidance; the fit of the coefficients beside it."""
        keep_freed_memory()
        return [self._at(Subject.make(name, self.counts[name], guidance)) for guidance in self.guidance]

    def _at(self, subject: Subject) -> tuple[Comparison, Fit]:
        fit = calibrate(subject)
        known = methods(subject, fit.coefficients, self.forecasts, self.moves)
        tried = [one.only(*one.values[:: self.every]) for one in known if self.only in one.name]

        def report(what: str) -> None:
            print(f"{subject.model.name}, guidance {subject.guidance:g}: {what}", file=sys.stderr, flush=True)

        return compare(subject, tried, range(self.seeds), self.repetitions, report), fit


def main(given: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(given)
    measuring = Measuring(COUNTS, arguments.seeds, arguments.repetitions, tuple(arguments.guidance), arguments.only)
    if arguments.quick:
        fewer: dict[str, Any] = {"counts": QUICK_COUNTS, "seeds": 2, "repetitions": 1, "guidance": (1.0,), "every": 2}
        measuring = replace(measuring, **fewer, moves=QUICK_MOVES, forecasts=QUICK_FORECASTS)
    arguments.output.mkdir(parents=True, exist_ok=True)
    measured = side_by_side(measuring.measured, arguments.models)
    for name, of_model in zip(arguments.models, measured, strict=True):
        draw([one for one, _ in of_model], arguments.output / f"compare-{name}.png")
    found = [one for of_model in measured for one in of_model]
    fits = [
        {"model": one.model, "guidance": one.guidance, "coefficients": fit.coefficients, "r2": fit.r2}
        for one, fit in found
    ]
    comparisons = [one for one, _ in found]
    settings = {name: getattr(measuring, name) for name in ("counts", "seeds", "repetitions", "moves")}
    written = as_json(comparisons, {**settings, "calibrations": fits})
    (arguments.output / "compare.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    tables = "\n".join(as_markdown(one) for one in comparisons)
    (arguments.output / "compare.md").write_text(tables, encoding="utf-8")
    print(tables)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer at once, every other value, 2 seeds, 1 repetition, rough plans, no guidance",
    )
    parser.add_argument("--models", nargs="+", choices=list(COUNTS), default=list(COUNTS))
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the noise that quality is measured on")
    parser.add_argument("--repetitions", type=int, default=3, help="how often everything is timed")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.0], help="scale of true CFG; 1 is none")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the caches whose name has this in it")
    parser.add_argument("--output", type=Path, default=Path("teaspec-benchmarks"))
    return parser


if __name__ == "__main__":
    main()
