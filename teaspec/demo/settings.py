"""What the demo generates and how often: plain data, read by everything else here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

IDENTITY = (0.0, 0.0, 0.0, 1.0, 0.0)
"""The polynomial x: what is accumulated is the relative L1 distance itself."""

RECOMMENDED, LIMIT = 0.15, 0.5
"""The threshold and the `residual_limit` for the digits model; docs/performance.md has others."""


@dataclass(frozen=True)
class Setting:
    """One way to cache.

    Attributes:
        threshold: `rel_l1_thresh`.
        order: `residual_order`.
        limit: `residual_limit`.
    """

    threshold: float
    order: Literal[0, 1]
    limit: float = LIMIT


@dataclass(frozen=True)
class DemoSettings:
    """What the demo generates, how often, and with which caches.

    Attributes:
        cached: What is compared with uncached generations.
        guidances: Each of these `true_cfg_scale`; above 1 a step calls the transformer for two branches.
        coefficients: Rescaling polynomial, highest degree first. The identity: the published FLUX polynomial was fitted
            to another checkpoint.
        steps: Denoising steps of one generation.
        images: Images generated at once: 0, 1, ..., 9, 0, ...
        rounds: Interleaved repetitions that the medians are taken over.
        replays: How often every step is repeated, hooked and unhooked in turn, to measure the hook itself.
        seed: Seed of the noise.
    """

    cached: tuple[Setting, ...] = (
        Setting(RECOMMENDED, 0),
        Setting(RECOMMENDED, 1),
        Setting(0.25, 1),
    )
    guidances: tuple[float, ...] = (1.0, 2.0)
    coefficients: tuple[float, ...] = IDENTITY
    steps: int = 28
    images: int = 64
    rounds: int = 2
    replays: int = 1
    seed: int = 0
