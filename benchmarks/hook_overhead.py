"""What TeaCache's hook costs: on steps that it computes, and on steps that it reuses.

Real transformers of diffusers with random weights, large enough for 50 ms a step on two cores. Two comparisons, each in
turn on the same inputs, which of the two comes first changing from pair to pair:

* a computed step with the hook (its threshold so small that nothing is reused) and the same step without it;
* a reused step with the hook and its own prelude, norm and head: the parts of the compiled extractor, called without a
  hook, with the residual of the same step. What the hook adds is the distance, the decision and the books.

    python benchmarks/hook_overhead.py [--pairs 60] [--models flux wan] [--clock wall|cpu] [--json FILE]

The tables are Markdown: medians, and in brackets the quartiles. `--clock cpu` counts the processor time of all threads
in place of the time on the wall, for a machine that has other work.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, WanTransformer3DModel

from teaspec import TeaCacheConfig, apply_teacache_hook
from teaspec.runtime.apply import find_teacache_hook

NEVER, ALWAYS = sys.float_info.min, sys.float_info.max
"""Thresholds at which nothing is reused, and everything but the first step."""

CLOCKS: dict[str, Callable[[], float]] = {"wall": perf_counter, "cpu": process_time}

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]
STEPS = 20


@dataclass(frozen=True)
class Spread:
    """Seconds or ratios of many samples."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        lower, median, upper = statistics.quantiles(samples, n=4)
        return cls(median, lower, upper)

    def text(self, scale: float = 1.0, digits: int = 3) -> str:
        return f"{scale * self.median:.{digits}f} ({scale * self.lower:.{digits}f} to {scale * self.upper:.{digits}f})"


@dataclass(frozen=True)
class Result:
    """The figures of one model. Times are in seconds; ratios are those of pairs."""

    model: str
    clock: str
    parameters: int
    threads: int
    pairs: int
    plain: Spread
    computed: Spread
    computed_ratio: Spread
    parts: Spread
    reused: Spread
    reused_ratio: Spread


def flux() -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    model = FluxTransformer2DModel(
        num_layers=3,
        num_single_layers=6,
        attention_head_dim=64,
        num_attention_heads=6,
        joint_attention_dim=512,
        pooled_projection_dim=256,
        axes_dims_rope=(8, 28, 28),
    )
    latents = torch.randn(1, 576, 64)
    axes = torch.meshgrid(torch.zeros(1), torch.arange(24.0), torch.arange(24.0), indexing="ij")
    shared = {
        "encoder_hidden_states": torch.randn(1, 64, 512),
        "pooled_projections": torch.randn(1, 256),
        "txt_ids": torch.zeros(64, 3),
        "img_ids": torch.stack(axes, dim=-1).reshape(576, 3),
    }
    return model, [
        {"hidden_states": latents * (1 - 0.01 * step), "timestep": time(step), **shared} for step in range(STEPS)
    ]


def wan() -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    model = WanTransformer3DModel(
        num_attention_heads=6, attention_head_dim=64, text_dim=512, freq_dim=64, ffn_dim=1536, num_layers=8
    )
    latents, text = torch.randn(1, 16, 5, 24, 24), torch.randn(1, 64, 512)
    return model, [
        {"hidden_states": latents * (1 - 0.01 * step), "timestep": 1000 * time(step), "encoder_hidden_states": text}
        for step in range(STEPS)
    ]


MODELS: dict[str, Callable[[], tuple[torch.nn.Module, list[dict[str, Any]]]]] = {"flux": flux, "wan": wan}


def time(step: int) -> torch.Tensor:
    return torch.tensor([1.0 - step / STEPS])


def twin(model: torch.nn.Module, threshold: float) -> Any:
    """A hooked copy of the modules that shares the weights."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    hooked = copy.deepcopy(model, shared)
    config = TeaCacheConfig(threshold, IDENTITY, warmup_steps=0)
    apply_teacache_hook(hooked, config)
    return hooked


class Parts:
    """The prelude, norm and head of a step, and its residual: the compiled extractor without a hook."""

    def __init__(self, hooked: Any) -> None:
        self.module, self.hook = hooked, find_teacache_hook(hooked)

    def __call__(self, **call: Any) -> Any:
        (state,) = self.hook.state_manager.states.values()
        residual = state.previous_residual

        def drive(context: Any) -> Any:
            return context.postprocess(context.hidden_states + residual)

        return self.hook.extractor_fn.enter(self.module, (), call, drive)


def in_turn(
    first: Callable[..., Any], second: Callable[..., Any], calls: list[dict[str, Any]], pairs: int, clock: str
) -> list[tuple[float, float]]:
    """Times two ways to run the same call, in turn. The first call of each generation is the second way's alone."""

    def seconds(run: Callable[..., Any], call: dict[str, Any]) -> float:
        now = CLOCKS[clock]
        started = now()
        run(**call)
        return now() - started

    found: list[tuple[float, float]] = []
    gc.collect()
    gc.disable()
    try:
        while len(found) < pairs:
            second(**calls[0])
            for call in calls[1:]:
                if len(found) % 2:
                    one, other = seconds(first, call), seconds(second, call)
                else:
                    other, one = seconds(second, call), seconds(first, call)
                found.append((one, other))
    finally:
        gc.enable()
    return found[:pairs]


@torch.no_grad()
def measure(name: str, pairs: int, clock: str = "wall") -> Result:
    """Measures one model."""
    torch.manual_seed(0)
    plain, calls = MODELS[name]()
    plain.eval()
    computing, reusing = twin(plain, NEVER), twin(plain, ALWAYS)
    for run in (plain, computing, reusing):  # compiles, allocates, learns which tensors get overwritten
        for call in calls[:3]:
            run(**call)
    computed = in_turn(plain, computing, calls, pairs, clock)
    reused = in_turn(Parts(reusing), reusing, calls, 3 * pairs, clock)
    hook = find_teacache_hook(reusing)
    assert hook is not None
    assert {one.decision for one in hook.decisions[1:]} == {"reuse"}
    return Result(
        model=type(plain).__name__,
        clock=clock,
        parameters=sum(parameter.numel() for parameter in plain.parameters()),
        threads=torch.get_num_threads(),
        pairs=pairs,
        plain=Spread.of([one for one, _ in computed]),
        computed=Spread.of([other for _, other in computed]),
        computed_ratio=Spread.of([other / one for one, other in computed]),
        parts=Spread.of([one for one, _ in reused]),
        reused=Spread.of([other for _, other in reused]),
        reused_ratio=Spread.of([other / one for one, other in reused]),
    )


def show(results: list[Result]) -> None:
    """Prints both tables."""
    print("| model | parameters | a step, ms | with the hook, ms | ratio |\n| --- | --- | --- | --- | --- |")
    for one in results:
        row = (
            f"{one.parameters / 1e6:.0f} M",
            one.plain.text(1e3, 1),
            one.computed.text(1e3, 1),
            one.computed_ratio.text(),
        )
        print(f"| `{one.model}` |", " | ".join(row), "|")
    print("\n| model | prelude, norm, head, ms | a reused step, ms | ratio |\n| --- | --- | --- | --- |")
    for one in results:
        row = (one.parts.text(1e3, 2), one.reused.text(1e3, 2), one.reused_ratio.text(1, 2))
        print(f"| `{one.model}` |", " | ".join(row), "|")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="What TeaCache's hook costs on computed and on reused steps.")
    parser.add_argument(
        "--pairs", type=int, default=60, help="pairs of computed steps; of reused ones three times as many"
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="time on the wall, or of the processor")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    results = [measure(name, options.pairs, options.clock) for name in options.models]
    show(results)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
