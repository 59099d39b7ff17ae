"""Drives a hooked module, and reads what the hook recorded."""

from __future__ import annotations

from typing import Any

import torch

from teaspec import TeaCacheConfig, TeaCacheHook, apply_teacache_hook, register_extractor
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.models import WIDTH, SingleStream, extract_single

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]


def hooked(
    module: Any = None, extractor: Any = extract_single, thresh: float = 0.5, **settings: Any
) -> tuple[Any, TeaCacheHook]:
    module = SingleStream() if module is None else module
    register_extractor(type(module).__name__, extractor)
    if not settings.keys() & {"rule", "budget", "tolerance"}:
        settings = {"rel_l1_thresh": thresh, "coefficients": IDENTITY, **settings}
    apply_teacache_hook(module, TeaCacheConfig(**settings))
    hook = find_teacache_hook(module)
    assert hook is not None
    return module, hook


def signal(level: float, width: int = WIDTH) -> torch.Tensor:
    return torch.full((1, width), level)


def latents(seed: int = 0, tokens: int = 3) -> torch.Tensor:
    return torch.randn(1, tokens, WIDTH, generator=torch.Generator().manual_seed(seed))


def choices(hook: TeaCacheHook) -> list[str]:
    return [decision.decision for decision in hook.decisions]


def reasons(hook: TeaCacheHook) -> list[str]:
    return [decision.reason for decision in hook.decisions]


def snapshot(hook: TeaCacheHook) -> Any:
    session = hook.sessions.current()
    return dict(session.states), hook.decisions, session.position, session.together
