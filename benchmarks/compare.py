"""Every training-free cache that runs on the trained models, over its own knob: quality against cost.

    python benchmarks/compare.py [--quick] [--models digits videos] [--only TEXT] [--output FOLDER]

Same model, seeds and steps for all, beside plain generations with fewer steps; timed interleaved. Models and guidance
scales are measured side by side, each on cores of its own. Writes compare.json, compare.md, a picture for each model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from comparison.measure import Comparison, compare
from comparison.methods import calibrate, methods
from comparison.show import as_json, as_markdown, draw
from comparison.side_by_side import side_by_side
from comparison.subject import Subject

from teaspec.calibrate import Fit
from teaspec.calibrate.choosing import FORECASTS, Added
from teaspec.demo.memory import keep_freed_memory

COUNTS, QUICK_COUNTS = {"digits": 24, "videos": 5}, {"digits": 16, "videos": 4}
"""Images or videos of a generation: as many as a core needs about a second for."""

LONGEST_FIRST = ("videos", "digits")
"""A generation of the videos takes longer."""

MOVES, QUICK_MOVES = 24, 2
"""Neighbours of a plan that are generated."""

QUICK_FORECASTS = (Added("blend", 0.5), Added("blend", 1.0))
"""What the reused steps of a plan may add with `--quick`; otherwise all that `teaspec calibrate --budget` tries."""


class Case(NamedTuple):
    """What is measured by itself.

    Attributes:
        model: Its name.
        guidance: Scale of true CFG, 1 for none.
    """

    model: str
    guidance: float


@dataclass(frozen=True)
class Measuring:
    """What is measured of each case.

    Attributes:
        counts: Images or videos of a generation, by model.
        seeds: Seeds of the noise that quality is measured on.
        repetitions: How often everything is timed.
        only: Only the caches whose name has this in it.
        every: Only each so many-th value of a knob.
        moves: Neighbours of a plan that are generated.
        forecasts: What the reused steps of a plan may add.
    """

    counts: Mapping[str, int]
    seeds: int
    repetitions: int
    only: str
    every: int = 1
    moves: int = MOVES
    forecasts: tuple[Added, ...] = FORECASTS

    @torch.no_grad()
    def measured(self, case: Case) -> tuple[Comparison, Fit]:
        """Compares all caches; the fit of the coefficients beside it."""
        keep_freed_memory()
        subject = Subject.make(case.model, self.counts[case.model], case.guidance)
        fit = calibrate(subject)
        known = methods(subject, fit.coefficients, self.forecasts, self.moves)
        tried = [one.only(*one.values[:: self.every]) for one in known if self.only in one.name]

        def report(what: str) -> None:
            print(f"{case.model}, guidance {case.guidance:g}: {what}", file=sys.stderr, flush=True)

        return compare(subject, tried, range(self.seeds), self.repetitions, report), fit


def main(given: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(given)
    measuring = Measuring(COUNTS, arguments.seeds, arguments.repetitions, arguments.only)
    if arguments.quick:
        arguments.guidance = [1.0]
        fewer: dict[str, Any] = {"counts": QUICK_COUNTS, "seeds": 2, "repetitions": 1, "every": 2}
        measuring = replace(measuring, **fewer, moves=QUICK_MOVES, forecasts=QUICK_FORECASTS)
    arguments.output.mkdir(parents=True, exist_ok=True)
    cases = [Case(*one) for one in product(arguments.models, arguments.guidance)]
    longest_first = sorted(cases, key=lambda one: (-one.guidance, LONGEST_FIRST.index(one.model)))
    measured = dict(zip(longest_first, side_by_side(measuring.measured, longest_first), strict=True))
    comparisons = [measured[case][0] for case in cases]
    fits = [{**case._asdict(), "coefficients": fit.coefficients, "r2": fit.r2} for case, (_, fit) in measured.items()]
    settings = {name: getattr(measuring, name) for name in ("counts", "seeds", "repetitions", "moves")}
    written = as_json(comparisons, {**settings, "calibrations": fits})
    (arguments.output / "compare.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    tables = "\n".join(as_markdown(one) for one in comparisons)
    (arguments.output / "compare.md").write_text(tables, encoding="utf-8")
    for name in arguments.models:
        draw([one for one in comparisons if one.model == name], arguments.output / f"compare-{name}.png")
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
