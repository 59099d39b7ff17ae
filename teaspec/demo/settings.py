"""What the demo generates and how often: plain data, read by everything else here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

IDENTITY = (0.0, 0.0, 0.0, 1.0, 0.0)
"""The polynomial x: what is accumulated is the relative L1 distance itself."""

RECOMMENDED, LIMIT = 0.15, 0.5
"""The threshold and the `residual_limit` for the digits model; docs/performance.md has others."""

VIDEO_RECOMMENDED = 0.2
"""The threshold for the video model: its distances are those of the timestep embedding."""


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
        model: Which trained model: `digits` or `videos`.
        cached: What is compared with uncached generations.
        guidances: Each of these scales of true CFG; above 1 a step calls the transformer for two branches.
        coefficients: Rescaling polynomial, highest degree first. The identity: the published polynomials were
            fitted to other checkpoints.
        steps: Denoising steps of one generation.
        count: Images or videos generated at once.
        rounds: Interleaved repetitions that the medians are taken over.
        replays: How often every step is repeated, hooked and unhooked in turn, to measure the hook itself.
        seed: Seed of the noise.
    """

    model: Literal["digits", "videos"] = "digits"
    cached: tuple[Setting, ...] = (
        Setting(RECOMMENDED, 0),
        Setting(RECOMMENDED, 1),
        Setting(0.25, 1),
    )
    guidances: tuple[float, ...] = (1.0, 2.0)
    coefficients: tuple[float, ...] = IDENTITY
    steps: int = 28
    count: int = 64
    rounds: int = 2
    replays: int = 1
    seed: int = 0


DIGITS = DemoSettings()
VIDEOS = DemoSettings(
    model="videos",
    cached=(Setting(VIDEO_RECOMMENDED, 0), Setting(VIDEO_RECOMMENDED, 1), Setting(0.4, 1)),
    count=6,
)
