"""diffusers' own context parallelism under TeaCache: generations of tiny transformers on shares of their sequence."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import diffusers
import torch

from teaspec import TeaCacheConfig, apply_teacache_hook, compile_spec, load_spec
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.denoising import MODELS, SPECS, THRESHOLDS

TIMESTEPS = (1.0, 0.97, 0.94, 0.9, 0.7, 0.65, 0.6, 0.3)
HEADS, TOKENS = 6, 12
"""Both two and three ranks can share them out."""


def flux_inputs(timestep: float, generator: torch.Generator) -> dict[str, Any]:
    text = torch.randn(1, 6, 8, generator=generator)
    positions = torch.arange(3 * TOKENS).reshape(TOKENS, 3).float()
    return {
        "hidden_states": torch.randn(1, TOKENS, 4, generator=generator),
        "encoder_hidden_states": text,
        "pooled_projections": text.mean(dim=1),
        "timestep": torch.tensor([timestep]),
        "img_ids": positions,
        "txt_ids": torch.zeros(6, 3),
    }


def wan_inputs(timestep: float, generator: torch.Generator) -> dict[str, Any]:
    return {
        "hidden_states": torch.randn(1, 4, 1, 2, 2 * TOKENS, generator=generator),
        "encoder_hidden_states": torch.randn(1, 3, 8, generator=generator),
        "timestep": torch.tensor([round(timestep * 1000)]),
    }


def generate(kind: str, parallel: Any, first: str) -> dict[str, Any]:
    """Runs one generation.

    Args:
        kind: The transformer.
        parallel: How it is shared out, None not to.
        first: What is switched on first: `hook` or `parallelism`.
    """
    model = MODELS[kind](heads=HEADS)
    inputs = {"flux": flux_inputs, "wan": wan_inputs}[kind]
    extractor = compile_spec(load_spec(SPECS / f"{kind}.yaml"), model)
    config = TeaCacheConfig(THRESHOLDS[kind], [0, 0, 0, 1, 0], warmup_steps=0)
    switches = [
        lambda: apply_teacache_hook(model, config, extractor=extractor),
        lambda: parallel is None or model.enable_parallelism(config=parallel),
    ]
    for switch in switches if first == "hook" else reversed(switches):
        switch()
    outputs = []
    with torch.no_grad():
        for timestep in TIMESTEPS:
            generator = torch.Generator().manual_seed(1)
            outputs.append(model(**inputs(timestep, generator), return_dict=False)[0])
    hook = find_teacache_hook(model)
    assert hook is not None
    return {
        "choices": [one.decision for one in hook.decisions],
        "distances": [one.distance for one in hook.decisions],
        "outputs": outputs,
    }


def ulysses(size: int) -> dict[str, dict[str, Any]]:
    """Runs each transformer as one process would, then on shares of its sequence.

    diffusers shares an uneven sequence out (`ulysses_anything`), but gloo cannot gather it again.
    """
    found = {}
    with patch("torch.accelerator.device_count", lambda: size):  # 0 on a machine without an accelerator
        for kind in ("flux", "wan"):
            found[kind] = {"whole": generate(kind, None, "hook")}
            for first in ("hook", "parallelism"):
                found[kind][first] = generate(kind, diffusers.ContextParallelConfig(ulysses_degree=size), first)
    return found
