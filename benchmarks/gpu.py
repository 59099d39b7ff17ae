"""What TeaCache costs and saves on a real card: FLUX and Wan at their published widths, random bfloat16 weights.

As many layers as fit. In one run, in turn, eager and with `compile_repeated_blocks`: a step without a cache, a computed
and a reused step with teaspec, and the same with diffusers' FirstBlockCache and with cache-dit (F1B0). For each: the
time until the device is done, the operations, the share of time in which the device had nothing to do (the bubble
that reading the distance leaves; from the profiler), and the bytes that the cache holds.

    python benchmarks/gpu.py [--minutes 9] [--models flux wan] [--json gpu.json] [--markdown gpu.md]

One card of 80 GB is meant. `--tiny` runs the same at tiny sizes, on a CPU too, to show that it runs.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from card.measure import Table, measure
from card.models import PUBLISHED, SHARE, TINY, Kind, build
from card.show import as_markdown

PACKAGES = ("teaspec", "torch", "diffusers", "cache-dit")


def compile_blocks(module: Any, backend: str) -> None:
    """Compiles the blocks of a transformer, each kind once."""
    module.compile_repeated_blocks(backend=backend)


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description="What TeaCache costs and saves on a card.")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all of it")
    parser.add_argument("--models", nargs="+", choices=PUBLISHED, default=list(PUBLISHED))
    parser.add_argument("--tiny", action="store_true", help="tiny sizes in float32, to see it run")
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--markdown", type=Path, help="also write the tables there")
    options = parser.parse_args(arguments)
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    if device.type == "cpu" and not options.tiny:
        parser.error("there is no accelerator here; --tiny runs on a CPU, to see that it runs")
    modes: dict[str, Callable[[Any], None] | None] = {
        "eager": None,
        "blocks compiled": partial(compile_blocks, backend=options.backend),
    }
    budget = 60 * options.minutes / (len(options.models) * len(modes))
    text, found = [_title(device)], []
    for name in options.models:
        kind: Kind = (TINY if options.tiny else PUBLISHED)[name]
        dtype = torch.float32 if options.tiny else torch.bfloat16
        built = build(kind, device, dtype, None if device.type == "cpu" else int(SHARE * _free(device)))
        for mode, compiler in modes.items():
            table: Table = measure(built, device, budget, compiler)
            text.append(as_markdown(f"{type(built.module).__name__}, {mode}", built, table))
            print(text[-1], flush=True)
            found.append({"model": name, "mode": mode, "blocks": built.blocks, **asdict(table)})
        del built
        if device.type != "cpu":
            torch.accelerator.empty_cache()
    if options.markdown is not None:
        options.markdown.write_text("\n".join(text), encoding="utf-8")
    if options.json is not None:
        where = {"device": _title(device), "tables": found}
        options.json.write_text(json.dumps(where, indent=2) + "\n", encoding="utf-8")


def _title(device: torch.device) -> str:
    card = platform.processor() or platform.machine()
    if device.type != "cpu":
        card = str(torch.get_device_module(device).get_device_name(device))
    return f"{card}; " + ", ".join(f"{name} {version(name)}" for name in PACKAGES) + "\n"


def _free(device: torch.device) -> int:
    free, _total = torch.accelerator.get_memory_info(device)
    return int(free)


if __name__ == "__main__":
    main()
