"""Every training-free cache that runs on the trained models, over its own knob: quality against cost.

    python benchmarks/compare.py [--quick] [--models digits videos] [--only TEXT] [--output FOLDER]

Same model, seeds and steps for all, beside plain generations with fewer steps; timed interleaved. Writes compare.json,
compare.md and a picture for each model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from comparison.measure import Comparison, compare
from comparison.methods import calibrate, methods
from comparison.show import as_json, as_markdown, draw
from comparison.subject import Subject

from teaspec.calibrate.choosing import FORECASTS, Added
from teaspec.demo.memory import keep_freed_memory

COUNTS, QUICK_COUNTS = {"digits": 24, "videos": 6}, {"digits": 16, "videos": 4}
"""Images or videos of a generation: as many as two cores need about a second for."""

MOVES, QUICK_MOVES = 24, 2
"""Neighbours of a plan that are generated."""

QUICK_FORECASTS = (Added("blend", 0.5), Added("blend", 1.0))
"""What the reused steps of a plan may add with `--quick`; otherwise all that `teaspec calibrate --budget` tries."""


def main(given: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(given)
    counts, moves, forecasts, every = COUNTS, MOVES, FORECASTS, 1
    if arguments.quick:
        moves, forecasts, every = QUICK_MOVES, QUICK_FORECASTS, 2
        counts, arguments.seeds, arguments.repetitions, arguments.guidance = QUICK_COUNTS, 2, 1, [1.0]
    keep_freed_memory()
    arguments.output.mkdir(parents=True, exist_ok=True)
    comparisons: list[Comparison] = []
    fits = []
    for name in arguments.models:
        for guidance in arguments.guidance:
            subject = Subject.make(name, counts[name], guidance)
            fit = calibrate(subject)
            fits.append({"model": name, "guidance": guidance, "coefficients": fit.coefficients, "r2": fit.r2})
            known = methods(subject, fit.coefficients, forecasts, moves)
            tried = [one.only(*one.values[::every]) for one in known if arguments.only in one.name]
            comparisons.append(compare(subject, tried, range(arguments.seeds), arguments.repetitions, _say))
        draw([one for one in comparisons if one.model == name], arguments.output / f"compare-{name}.png")
    counted = {"counts": counts, "seeds": arguments.seeds, "repetitions": arguments.repetitions, "moves": moves}
    found = as_json(comparisons, {**counted, "calibrations": fits})
    (arguments.output / "compare.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
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


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    with torch.no_grad():
        main()
