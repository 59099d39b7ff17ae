"""What TeaCache's hook costs: on steps that it computes, and on steps that it reuses.

Real transformers of diffusers with random weights, large enough for 50 ms a step on two cores. Two comparisons, on the
same inputs; which way comes first is drawn for each step:

* a computed step with the hook (its threshold so small that nothing is reused), the same step without it, and a copy
  without it, which tells what the measurement itself is good for;
* a reused step with the hook and its own prelude, norm and head: the parts of the compiled extractor, called without a
  hook, with the residual of the same step. What the hook adds is the distance, the decision and the books.

    python benchmarks/hook_overhead.py [--rounds 60] [--models flux wan] [--clock wall|cpu] [--json FILE]

The tables are Markdown. `--clock cpu` counts the processor time of all threads in place of the time on the wall, for a
machine that has other work.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from hooked.cost import Cost, measure
from hooked.models import MODELS, Size
from hooked.subject import CLOCKS, Subject

from teaspec.demo.memory import keep_freed_memory


def show(subjects: dict[str, Subject], costs: dict[str, Cost]) -> None:
    """Prints both tables."""
    print("Computed steps: medians (quartiles); ratios: medians of pairs (95 % confidence interval of the median)\n")
    print("| model | parameters | a step, ms | with the hook, ms | ratio | a copy without a hook, ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, cost in costs.items():
        row = (
            f"`{type(subjects[name].plain).__name__}`",
            f"{subjects[name].parameters / 1e6:.0f} M",
            cost.plain.text(1e3, 1),
            cost.computed.text(1e3, 1),
            cost.computed_ratio.bounds(),
            cost.control.bounds(),
        )
        print("|", " | ".join(row), "|")
    print("\nReused steps: medians (quartiles)\n")
    print("| model | prelude, norm, head, ms | a reused step, ms | ratio |\n| --- | --- | --- | --- |")
    for name, cost in costs.items():
        row = (cost.parts.text(1e3, 2), cost.reused.text(1e3, 2), cost.reused_ratio.text(1, 2))
        print(f"| `{type(subjects[name].plain).__name__}` |", " | ".join(row), "|")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="What TeaCache's hook costs on computed and on reused steps.")
    parser.add_argument("--rounds", type=int, default=60, help="computed steps; three times as many reused")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="time on the wall, or of the processor")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    keep_freed_memory()
    subjects = {name: Subject(name, Size()) for name in options.models}
    costs = measure(subjects, options.rounds, options.clock)
    show(subjects, costs)
    if options.json is not None:
        found = {
            "clock": options.clock,
            "threads": torch.get_num_threads(),
            "models": {name: asdict(cost) for name, cost in costs.items()},
        }
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with torch.no_grad():
        main()
