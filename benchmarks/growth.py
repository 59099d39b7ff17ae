"""How what TeaCache costs grows with tokens, layers and batch.

diffusers' FLUX with random weights, one thing changed at a time. For each size: a step without the hook, what a
computed step costs with it, a reused step and what of it the hook itself adds, the share of operations that a reused
step keeps, and the bytes held with `residual_order` 0 and 1. Then a reused step under each rule, of FLUX and of Wan.

    python benchmarks/growth.py [--rounds 40] [--json FILE]

The tables are Markdown: medians, and in brackets quartiles, of the ratio the 95 % confidence interval of the median.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from hooked.cost import Cost, measure
from hooked.models import MODELS, TEXT_TOKENS, Size
from hooked.rules import RuleCost, Ruled, measure_rules
from hooked.subject import Subject

from teaspec.demo.memory import keep_freed_memory

SMALL = Size(side=16, layers=6)
SIZES = {
    "tokens": [Size(side, SMALL.layers) for side in (8, 16, 32)],
    "layers": [Size(SMALL.side, layers) for layers in (3, 6, 12, 24)],
    "batch": [Size(SMALL.side, SMALL.layers, batch) for batch in (1, 2, 4)],
}


def show(grows: str, size: Size, subject: Subject, cost: Cost) -> dict[str, object]:
    """Prints one row and returns it as data."""
    held = [subject.bytes_held(order) for order in (0, 1)]
    share = subject.share_of_operations()
    row = (
        grows,
        f"{size.side**2} + {TEXT_TOKENS}",
        str(size.layers),
        str(size.batch),
        f"{1e3 * cost.plain.median:.1f}",
        cost.computed_ratio.bounds(3),
        f"{1e3 * cost.reused.median:.2f}",
        cost.added.text(1e3, 2),
        f"{cost.reused.median / cost.plain.median:.1%}",
        f"{share:.1%}",
        f"{held[0] / 2**20:.2f}, {held[1] / 2**20:.2f}",
    )
    print("|", " | ".join(row), "|", flush=True)
    return {"grows": grows, **asdict(size), "operations": share, "bytes_held": held, "cost": asdict(cost)}


def show_rules(model: str, costs: dict[str, RuleCost]) -> dict[str, object]:
    """Prints a row for each rule and returns them as data."""
    for name, cost in costs.items():
        row = (
            model,
            name,
            cost.reused.text(1e3, 2),
            cost.ratio.bounds(3),
            f"{cost.operations / costs['threshold'].operations:.3f}",
            str(cost.operators),
        )
        print("|", " | ".join(row), "|", flush=True)
    return {"model": model, "rules": {name: asdict(cost) for name, cost in costs.items()}}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="How what TeaCache costs grows with tokens, layers and batch.")
    parser.add_argument("--rounds", type=int, default=40, help="computed steps; three times as many reused")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    keep_freed_memory()
    print(
        "| grows | tokens | layers | batch | a step, ms | computed with the hook, ratio | a reused step, ms "
        "| of it the hook's, ms | of a step | of its operations | MiB held, order 0 and 1 |"
    )
    print("|" + " --- |" * 11)
    found = []
    for grows, sizes in SIZES.items():
        for size in sizes:
            subject = Subject("flux", size)
            cost = measure({"flux": subject}, options.rounds)["flux"]
            found.append(show(grows, size, subject, cost))
    print("\n| model | rule | a reused step, ms | over a threshold's | operations, over a threshold's | operators |")
    print("|" + " --- |" * 6)
    for model in MODELS:
        found.append(show_rules(model, measure_rules(Ruled(model, SMALL), options.rounds)))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with torch.no_grad():
        main()
