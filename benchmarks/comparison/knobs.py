"""What is tried of each cache on each model, and what caches have to be told about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Knobs:
    """Values from exact to fast, and names.

    Attributes:
        thresholds: Of teaspec's threshold rule.
        first_block: Thresholds of diffusers' FirstBlockCache.
        mag_cache: Thresholds of diffusers' MagCache.
        sea_cache: Thresholds of diffusers' SeaCache.
        dual_block: Thresholds of cache-dit's DBCache.
        blocks: How paths of blocks begin, for the caches of attention.
        attention: Paths of attentions, for TaylorSeer, whose own patterns end before the number of `attn1`; None takes
            its own.
        layout: How the transformer's output is laid out, as FasterCache names it.
        tells_steps: Whether the pipeline tells its caches step and sigma.
    """

    thresholds: tuple[float, ...]
    first_block: tuple[float, ...]
    mag_cache: tuple[float, ...]
    sea_cache: tuple[float, ...]
    dual_block: tuple[float, ...]
    blocks: str
    attention: list[str] | None
    layout: str
    tells_steps: bool


KNOBS = {
    "digits": Knobs(
        thresholds=(0.08, 0.1, 0.15, 0.2, 0.25, 0.3),
        first_block=(0.08, 0.1, 0.15, 0.2, 0.3, 0.4),
        mag_cache=(0.03, 0.06, 0.12, 0.2, 0.3),
        sea_cache=(0.1, 0.25, 0.5, 1.0),
        dual_block=(0.1, 0.15, 0.2, 0.3, 0.4),
        blocks="transformer_blocks",
        attention=None,
        layout="BCHW",
        tells_steps=False,
    ),
    "videos": Knobs(
        thresholds=(0.1, 0.15, 0.2, 0.25, 0.35, 0.4),
        first_block=(0.04, 0.06, 0.08, 0.12, 0.2, 0.3),
        mag_cache=(0.01, 0.03, 0.06, 0.12, 0.3),
        sea_cache=(0.1, 0.25, 0.5, 1.0),
        dual_block=(0.05, 0.08, 0.12, 0.2, 0.3),
        blocks="blocks",
        attention=[r"blocks\.\d+\.attn[12]"],
        layout="BCFHW",
        tells_steps=True,
    ),
}
"""By the name of the model."""

FEWER_STEPS = (20, 16, 14, 12, 10, 8)
"""Steps of plain generations, in place of 28."""

BUDGETS = (19, 17, 14, 11, 9, 7)
"""Computed steps of teaspec's budget, of 28."""

TOLERANCES = (0.002, 0.005, 0.01, 0.02, 0.05)
"""Of teaspec's tolerance rule."""

MASKS = {18: "slow", 15: "medium", 11: "fast", 8: "ultra"}
"""cache-dit's masks of steps by the number of steps that they compute, of 28."""
