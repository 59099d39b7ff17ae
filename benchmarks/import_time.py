"""What `import teaspec` costs on top of `import torch`.

Starts fresh interpreters in turn (torch alone, torch and teaspec, torch alone, ...) and compares the medians. Within
the second kind it also times the import of teaspec by itself, which is free of the noise of torch's own import.

    python benchmarks/import_time.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

CHILD = """
from time import perf_counter
started = perf_counter()
import torch
between = perf_counter()
{}
print(perf_counter() - started, perf_counter() - between)
"""


def measure(statement: str) -> tuple[float, float]:
    """Runs one interpreter; returns seconds since before `import torch` and since after it."""
    done = subprocess.run([sys.executable, "-c", CHILD.format(statement)], capture_output=True, text=True, check=True)
    total, after_torch = done.stdout.split()
    return float(total), float(after_torch)


def show(label: str, seconds: list[float]) -> None:
    """Prints one row in milliseconds."""
    low, median, high = (1e3 * value for value in (min(seconds), statistics.median(seconds), max(seconds)))
    print(f"{label:34} {median:9.1f} ms   ({low:.1f} to {high:.1f})")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="What `import teaspec` costs on top of `import torch`.")
    parser.add_argument("--rounds", type=int, default=15, help="interpreters of each kind")
    rounds = parser.parse_args().rounds
    # One of each before counting: byte code gets compiled, files get cached.
    measure("pass")
    measure("import teaspec")
    alone: list[float] = []
    both: list[float] = []
    ours: list[float] = []
    for _ in range(rounds):
        alone.append(measure("pass")[0])
        total, after_torch = measure("import teaspec")
        both.append(total)
        ours.append(after_torch)
    show("import torch", alone)
    show("import torch; import teaspec", both)
    show("import teaspec, torch imported", ours)
    print(f"{'difference of the medians':34} {1e3 * (statistics.median(both) - statistics.median(alone)):9.1f} ms")


if __name__ == "__main__":
    main()
