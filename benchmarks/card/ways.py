"""Ways to run a step of a transformer: as it is, and under each cache, computing always or reusing always."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diffusers import FirstBlockCacheConfig
from torch import nn

from card.models import Built
from teaspec import TeaCacheConfig, apply_teacache_hook, stats
from teaspec.demo.twin import twin

NEVER, ALWAYS = sys.float_info.min, sys.float_info.max
"""Thresholds at which nothing is reused, and everything but the first step."""

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]
MANY = 100_000
"""More steps than are ever run: cache-dit begins anew where its number of steps is over."""

Run = Callable[..., Any]


@dataclass(frozen=True)
class Way:
    """A way to run a step.

    Attributes:
        name: What it is called.
        module: What runs.
        run: Runs one call of it.
        ours: Whether it is hooked by teaspec, so that it knows what it holds.
    """

    name: str
    module: nn.Module
    run: Run
    ours: bool = False

    @property
    def bytes_held(self) -> int | None:
        """Bytes of cached tensors, None where only the device knows."""
        return stats(self.module).bytes_held if self.ours else None


@dataclass(frozen=True)
class Recipe:
    """How a way is made of a transformer without a cache.

    Attributes:
        name: What the way is called.
        apply: Puts the cache on a transformer and returns what runs a call; raises where the cache does not fit.
        ours: Whether it is teaspec.
    """

    name: str
    apply: Callable[[Any], Run]
    ours: bool = False

    def make(self, built: Built) -> Way:
        """Returns the way, on a copy that shares the weights."""
        module: Any = twin(built.module)
        return Way(self.name, module, self.apply(module), self.ours)


def _plain(module: Any) -> Run:
    run: Run = module
    return run


def _teaspec(threshold: float) -> Callable[[Any], Run]:
    def apply(module: Any) -> Run:
        apply_teacache_hook(module, TeaCacheConfig(threshold, IDENTITY, warmup_steps=0))
        return _plain(module)

    return apply


def _first_block(threshold: float) -> Callable[[Any], Run]:
    def apply(module: Any) -> Run:
        module.enable_cache(FirstBlockCacheConfig(threshold=threshold))

        def run(**call: Any) -> Any:
            with module.cache_context("cond"):
                return module(**call)

        return run

    return apply


def _cache_dit(threshold: float) -> Callable[[Any], Run]:
    def apply(module: Any) -> Run:
        os.environ.setdefault("CACHE_DIT_LOG_LEVEL", "WARNING")  # else it remarks on each model, in ten lines
        import cache_dit

        config = cache_dit.DBCacheConfig(
            Fn_compute_blocks=1, max_warmup_steps=1, residual_diff_threshold=threshold, num_inference_steps=MANY
        )
        cache_dit.enable_cache(module, cache_config=config)
        return _plain(module)

    return apply


PLAIN, COMPUTING, REUSING = "no cache", "teaspec, computed", "teaspec, reused"

RECIPES = (
    Recipe(PLAIN, _plain),
    Recipe(COMPUTING, _teaspec(NEVER), ours=True),
    Recipe(REUSING, _teaspec(ALWAYS), ours=True),
    Recipe("FirstBlockCache, computed", _first_block(0.0)),
    Recipe("FirstBlockCache, reused", _first_block(ALWAYS)),
    Recipe("cache-dit F1B0, computed", _cache_dit(0.0)),
    Recipe("cache-dit F1B0, reused", _cache_dit(ALWAYS)),
)
