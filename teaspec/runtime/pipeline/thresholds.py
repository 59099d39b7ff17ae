"""Which threshold a transformer gets where the user left it open, and what is said of one that nobody has tried."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from teaspec.runtime.calibrations.calibration import Calibration
from teaspec.runtime.calibrations.registry import find_defaults, find_type
from teaspec.runtime.calibrations.thresholds import SPEEDUPS, Preset, Threshold, pick
from teaspec.runtime.settings.config import NotGiven, TeaCacheConfig

logger = logging.getLogger(__name__)

NOT_SAID = cast(Preset, NotGiven("balanced"))
"""The preset of a user who has said nothing, on a pipeline that tells how many steps there are."""

RECOMMENDED_BUDGET = 0.5
"""Where nothing is published: about twice as fast. On the digits model a threshold is no better at the same cost."""

_FAR_ABOVE = 2.0
"""So many times the highest published threshold."""

_FAR_BELOW = 0.25
"""So many times the lowest."""

_BEYOND_USE = 10.0
"""No threshold published for any model is near it."""


def refuse_preset(config: TeaCacheConfig) -> None:
    """Refuses a preset beside coefficients of the user's own.

    Args:
        config: The user's config.

    Raises:
        ValueError: If it has both.
    """
    if config.preset is not None and config.coefficients is not None:
        raise ValueError(
            f"preset={config.preset!r} stands for a published threshold, which says nothing about coefficients of your "
            f"own; give rel_l1_thresh"
        )


def settle_threshold(
    asked: TeaCacheConfig, settled: TeaCacheConfig, cls: type, extractor: Callable[..., Any] | None
) -> TeaCacheConfig:
    """Returns the settled config with its threshold: that of the preset, or the user's, or the documented default.

    Args:
        asked: The user's config.
        settled: What became of it on the transformer: its variant is chosen.
        cls: The transformer's class.
        extractor: The one that the user gave, or None.
    """
    if asked.coefficients is not None or not asked.is_published_rule:
        return settled  # on a scale of the user's own, of which nothing is known, or on none
    calibration = calibration_of(settled, cls, extractor)
    published = calibration.thresholds if settled.accumulate == calibration.accumulate else ()
    title = f"{settled.transformer_type}, variant {settled.variant}"
    if asked.preset is None:
        _warn(settled, published, title)
        return settled
    found = pick(published, asked.preset)
    if found is None and isinstance(asked.preset, NotGiven):
        logger.info(
            "TeaCache on %s: budget %g, so that every other step is computed, for no threshold is published for it; "
            "budget=12 computes 12 steps, rel_l1_thresh=0.2 decides by what has changed",
            *(title, RECOMMENDED_BUDGET),
        )
        return replace(
            settled,
            preset=None,
            budget=RECOMMENDED_BUDGET,
            coefficients=None,
            accumulate=None,
            warmup_steps=asked.warmup_steps,
        )
    if found is None:
        logger.info(
            "TeaCache on %s: rel_l1_thresh %g, the documented default, for no threshold is published for it; see what "
            "it does by teaspec.stats(pipe), and lower it where images suffer",
            *(title, settled.rel_l1_thresh),
        )
        return settled
    logger.info("TeaCache on %s: rel_l1_thresh %g, %s", title, found.thresh, _why(found, asked))
    return replace(settled, rel_l1_thresh=found.thresh, preset=None)


def calibration_of(settled: TeaCacheConfig, cls: type, extractor: Callable[..., Any] | None) -> Calibration:
    """Returns what is published about a transformer's variant.

    Args:
        settled: Its config, with the variant chosen.
        cls: Its class.
        extractor: The one that the user gave, or None.
    """
    defaults = getattr(extractor, "defaults", None) or find_defaults(find_type(cls) or settled.transformer_type)
    return Calibration() if defaults is None or settled.variant is None else defaults.named()[settled.variant]


def _why(found: Threshold, asked: TeaCacheConfig) -> str:
    assert asked.preset is not None
    told = "published" if found.speedup is None else f"published with a speed-up of {found.speedup:g}"
    more = "; ".join(text for text in (found.note, found.source) if text)
    nearest = "" if found.speedup is None else f", the nearest to {SPEEDUPS[asked.preset]:g}"
    return f"{told}{nearest} (preset {asked.preset}{f'; {more}' if more else ''})"


def _warn(settled: TeaCacheConfig, published: tuple[Threshold, ...], title: str) -> None:
    value = settled.rel_l1_thresh
    if not published:
        if value > _BEYOND_USE:
            logger.warning(
                "TeaCache on %s: rel_l1_thresh=%g reuses nearly every step; thresholds that were published for any "
                "model are below 2. Try 0.1 to 0.3",
                *(title, value),
            )
        return
    low, high = min(one.thresh for one in published), max(one.thresh for one in published)
    far = settled.is_threshold_given  # a value of the user's own may well lie a little outside
    above, below = high * (_FAR_ABOVE if far else 1), low * (_FAR_BELOW if far else 1)
    if below <= value <= above:
        return
    balanced = pick(published, "balanced")
    assert balanced is not None
    logger.warning(
        "TeaCache on %s: rel_l1_thresh=%g%s, but %s; it reuses %s steps than anybody has published. "
        "preset='balanced' is %g",
        *(
            title,
            value,
            "" if far else ", the documented default",
            _range(low, high),
            "more" if value > high else "fewer",
            balanced.thresh,
        ),
    )


def _range(low: float, high: float) -> str:
    return f"the published one is {low:g}" if low == high else f"those published are {low:g} to {high:g}"
