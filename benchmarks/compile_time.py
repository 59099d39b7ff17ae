"""What it takes to read and to compile each shipped spec, and to prove all of them.

    python benchmarks/compile_time.py [--rounds 5] [--check] [--json FILE]

Compiling is done once per process and class, when a model is first hooked. Every spec is read and compiled anew in each
round, all of them in turn, for its probe's model; the model's module has been imported before. `--check` also runs
`teaspec check --all` once, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import torch
from rich.progress import track

from teaspec.catalog import shipped_specs
from teaspec.compiler import load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.compiler.pipeline import compile_anew
from teaspec.proof.build import build_module


def measure(path: Path, module: torch.nn.Module) -> tuple[float, float]:
    """Seconds to read a spec, and to compile it."""
    started = perf_counter()
    spec = load_spec(path)
    between = perf_counter()
    compile_anew(spec, module)
    return between - started, perf_counter() - between


def probe_model(path: Path) -> torch.nn.Module:
    """The model of a spec's probe."""
    spec = load_spec(path)
    return build_module(import_model(spec), dict(spec.probe.alternatives[0].config), torch.float32, seed=0)


def check_all() -> tuple[float, float]:
    """Seconds on the wall and of the processor that `teaspec check --all` takes, with its default settings."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = perf_counter()
    subprocess.run([Path(sys.executable).with_name("teaspec"), "check", "--all"], check=True, stdout=subprocess.DEVNULL)
    wall = perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="What it takes to read and to compile each shipped spec.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="also time `teaspec check --all`")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    models = {path: probe_model(path) for path in shipped_specs()}
    samples: dict[str, list[tuple[float, float]]] = {path.stem: [] for path in models}
    for _ in track(range(options.rounds), "compiling"):
        for path, module in models.items():
            samples[path.stem].append(measure(path, module))
    medians = {name: [statistics.median(kind) for kind in zip(*taken, strict=True)] for name, taken in samples.items()}
    print("| spec | read, ms | compile, ms | lowest to highest |\n| --- | --- | --- | --- |")
    for name, (read, compiled) in sorted(medians.items(), key=lambda item: -item[1][1]):
        taken = [1e3 * one for _, one in samples[name]]
        print(f"| {name} | {1e3 * read:.0f} | {1e3 * compiled:.0f} | {min(taken):.0f} to {max(taken):.0f} |")
    middle = [statistics.median(kind) for kind in zip(*medians.values(), strict=True)]
    print(f"\n{len(medians)} specs, median: {1e3 * middle[0]:.0f} ms to read, {1e3 * middle[1]:.0f} ms to compile")
    found: dict[str, object] = {"seconds": samples}
    if options.check:
        wall, processor = check_all()
        print(f"teaspec check --all: {wall:.0f} s on the wall, {processor:.0f} s of the processor")
        found["check"] = {"wall": wall, "processor": processor}
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
