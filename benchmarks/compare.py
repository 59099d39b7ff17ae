"""Every training-free cache that runs on the digits model, over its own knob: quality against time and operations.

    python benchmarks/compare.py [--quick] [--only TEXT] [--output FOLDER]

Same model, seed and steps for all; timed interleaved. Writes compare.json, compare.md and compare.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from comparison.measure import compare
from comparison.methods import calibrate, methods
from comparison.show import as_json, as_markdown, draw
from comparison.subject import Subject

from teaspec.demo.memory import keep_freed_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="16 images, 2 repetitions, no guidance")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.0], help="true_cfg_scale; 1 is none")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the caches whose name has this in it")
    parser.add_argument("--output", type=Path, default=Path("teaspec-benchmarks"))
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.images, arguments.repetitions, arguments.guidance = 16, 2, [1.0]
    keep_freed_memory()
    arguments.output.mkdir(parents=True, exist_ok=True)
    comparisons, fits = [], []
    for guidance in arguments.guidance:
        subject = Subject.make(arguments.images, guidance)
        fit = calibrate(subject)
        fits.append({"guidance": guidance, "coefficients": fit.coefficients, "r2": fit.r2, "pairs": fit.pairs})
        tried = [one for one in methods(subject, fit) if arguments.only in one.name]
        comparisons.append(compare(subject, tried, arguments.repetitions, lambda what: print(what, file=sys.stderr)))
    settings = {"images": arguments.images, "repetitions": arguments.repetitions, "calibrations": fits}
    found = as_json(comparisons, settings)
    (arguments.output / "compare.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    tables = "\n".join(as_markdown(one) for one in comparisons)
    (arguments.output / "compare.md").write_text(tables, encoding="utf-8")
    draw(comparisons, arguments.output / "compare.png")
    print(tables)


if __name__ == "__main__":
    with torch.no_grad():
        main()
