"""What the hook costs where it saves nothing: computed steps with it and without it, on the same inputs."""

from __future__ import annotations

import copy
import gc
import sys
from time import perf_counter
from typing import Any

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel

from teaspec.demo.pipeline import generate
from teaspec.demo.result import HookCost, Spread
from teaspec.demo.settings import DemoSettings
from teaspec.runtime.apply import apply_teacache_hook
from teaspec.runtime.config import TeaCacheConfig

NEVER = sys.float_info.min
"""A threshold so small that no step is reused."""


def measure_hook_cost(pipeline: FluxPipeline, settings: DemoSettings) -> HookCost:
    """Replays the steps of one generation, hooked and unhooked in turn, and compares the times pair by pair."""
    plain = pipeline.transformer
    calls = _record(pipeline, settings)
    hooked = _twin(plain)
    apply_teacache_hook(hooked, TeaCacheConfig(rel_l1_thresh=NEVER, coefficients=list(settings.coefficients)))
    pairs: list[tuple[float, float]] = []
    gc.collect()
    for replay in range(settings.replays):
        for number, call in enumerate(calls):
            # Which of the two comes first changes from pair to pair: the second finds its inputs in the cache.
            if (number + replay) % 2:
                unhooked, with_hook = _seconds(plain, call), _seconds(hooked, call)
            else:
                with_hook, unhooked = _seconds(hooked, call), _seconds(plain, call)
            pairs.append((unhooked, with_hook))
    return HookCost(
        plain=Spread.of(unhooked for unhooked, _ in pairs),
        hooked=Spread.of(with_hook for _, with_hook in pairs),
        ratio=Spread.of(with_hook / unhooked for unhooked, with_hook in pairs),
    )


def _record(pipeline: FluxPipeline, settings: DemoSettings) -> list[dict[str, Any]]:
    """Returns the keyword arguments of each call of the transformer in one generation."""
    calls: list[dict[str, Any]] = []

    def note(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        calls.append(dict(kwargs))

    handle = pipeline.transformer.register_forward_pre_hook(note, with_kwargs=True)
    try:
        generate(pipeline, settings)
    finally:
        handle.remove()
    return calls


def _twin(transformer: FluxTransformer2DModel) -> FluxTransformer2DModel:
    """Copies the modules but not the weights: both transformers read the same memory."""
    shared = {id(tensor): tensor for tensor in (*transformer.parameters(), *transformer.buffers())}
    return copy.deepcopy(transformer, shared)


@torch.no_grad()
def _seconds(transformer: FluxTransformer2DModel, call: dict[str, Any]) -> float:
    with transformer.cache_context("cond"):
        started = perf_counter()
        transformer(**call)
        return perf_counter() - started
