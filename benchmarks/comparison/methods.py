"""Every training-free cache, by its own knob. One that does not run on this model is reported with its error."""

from __future__ import annotations

import ast
import io
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from diffusers import (
    FasterCacheConfig,
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
)
from diffusers.hooks import SeaCacheConfig

from comparison.knobs import BUDGETS, FEWER_STEPS, KNOBS, MASKS, TOLERANCES
from comparison.planned import planned
from comparison.subject import STEPS, Subject
from teaspec import TeaCacheConfig, apply_teacache_hook, enable
from teaspec.calibrate import Fit, collecting, fit_pairs
from teaspec.calibrate.choosing import FORECASTS, Added
from teaspec.demo.settings import LIMIT
from teaspec.runtime.rules.forecast import Kind
from teaspec.runtime.rules.plan import Planned

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]
CALIBRATION_SEEDS = (1001, 1002, 1003)
"""None of them is a seed that caches are compared on."""

PLANNED_BY = {"digits": 24, "videos": 10}
"""So many images or videos choose a plan, and as many others judge it."""

DB_WARMUP = 1


@dataclass(frozen=True, eq=False)
class Method:
    """A training-free cache, and the one setting by which it trades likeness for speed.

    Attributes:
        name: What it is called in tables and plots.
        knob: Its setting.
        values: What is tried, from exact to fast.
        apply: Puts the cache on a pipeline's transformer.
        steps: Denoising steps at a value.
    """

    name: str
    knob: str
    values: tuple[float, ...]
    apply: Callable[[Any, Any], None]
    steps: Callable[[float], int] = field(default=lambda _value: STEPS)

    def only(self, *values: float) -> Method:
        """The cache with other values."""
        return replace(self, values=values)


def calibrate(subject: Subject) -> Fit:
    """The coefficients of this model, at this guidance."""
    pipeline = subject.twin()
    with collecting(pipeline.transformer) as hook:
        for seed in CALIBRATION_SEEDS:
            subject.generate(pipeline, seed)
    return fit_pairs(hook.pairs)


def methods(
    subject: Subject, coefficients: Sequence[float], forecasts: Sequence[Added], moves: int
) -> Iterator[Method]:
    """All caches for a subject; what the others need to be calibrated is done where they are applied.

    Args:
        subject: What they are applied to.
        coefficients: Those of the subject, beside the identity.
        forecasts: What the reused steps of a plan may add.
        moves: So many neighbours of a plan are generated.
    """
    knobs = KNOBS[subject.model.name]
    yield Method("no cache, fewer steps", "num_inference_steps", FEWER_STEPS, lambda _pipeline, _value: None, int)
    limited = {"residual_order": 1, "residual_limit": LIMIT}
    calibrated = list(coefficients)
    for name, polynomial, options in (
        ("identity, order 0", IDENTITY, {"residual_order": 0}),
        (f"identity, order 1, limit {LIMIT:g}", IDENTITY, limited),
        (f"calibrated, order 1, limit {LIMIT:g}", calibrated, limited),
    ):
        yield Method(f"teaspec, {name}", "rel_l1_thresh", knobs.thresholds, _teaspec(polynomial, options))
    budgeted: tuple[tuple[Kind, float], ...] = (("last", 1.0), ("line", LIMIT), ("blend", LIMIT))
    for kind, limit in budgeted:
        named = kind if kind == "last" else f"{kind}, limit {limit:g}"
        yield Method(f"teaspec, budget, {named}", "budget", BUDGETS, _enabled(_budget, kind, limit))
    plan = planned(replace(subject, count=PLANNED_BY[subject.model.name]), CALIBRATION_SEEDS[:2], forecasts, moves)
    yield Method("teaspec, budget by plan", "budget", BUDGETS, _by_plan(plan))
    kind, limit = FORECASTS[0]
    tolerated = f"teaspec, tolerance, {kind}, limit {limit:g}"
    yield Method(tolerated, "tolerance", TOLERANCES, _enabled(_tolerance, kind, limit))
    yield Method(
        "diffusers FirstBlockCache",
        "threshold",
        knobs.first_block,
        lambda pipeline, value: pipeline.transformer.enable_cache(FirstBlockCacheConfig(threshold=value)),
    )
    yield Method("diffusers MagCache", "threshold", knobs.mag_cache, _mag_cache(subject))
    for order in (1, 2):
        yield Method(
            f"diffusers TaylorSeer, order {order}",
            "cache_interval",
            (2, 5),
            _taylor_seer(order, attention=knobs.attention),
        )
    yield Method("diffusers TaylorSeer lite, order 1", "cache_interval", (2, 3, 4, 5), _taylor_seer(1, lite=True))
    skipped = "spatial_attention_block_skip_range"
    yield Method("diffusers PAB", skipped, (2, 5), _pyramid(knobs.blocks))
    yield Method("diffusers FasterCache", skipped, (2, 5), _faster(knobs.blocks, knobs.layout))
    sea_cache = _sea_cache if knobs.tells_steps else _told_sea_cache
    yield Method("diffusers SeaCache, order 1", "threshold", knobs.sea_cache, sea_cache)
    for taylor in (False, True):
        named = "cache-dit DBCache, TaylorSeer" if taylor else "cache-dit DBCache"
        yield Method(named, "residual_diff_threshold", knobs.dual_block, _db_cache(subject, taylor=taylor))
        named = "cache-dit step mask, TaylorSeer" if taylor else "cache-dit step mask"
        yield Method(named, "steps computed", tuple(MASKS), _db_cache(subject, taylor=taylor, masked=True))


def _teaspec(coefficients: list[float], options: dict[str, Any]) -> Callable[[Any, Any], None]:
    def apply(pipeline: Any, value: float) -> None:
        config = TeaCacheConfig(value, coefficients, num_inference_steps=STEPS, **options)
        apply_teacache_hook(pipeline.transformer, config)

    return apply


def _budget(value: float) -> dict[str, Any]:
    return {"budget": int(value)}


def _by_plan(plan: Callable[[int], Planned]) -> Callable[[Any, Any], None]:
    """Teaspec with a budget, as it is where the spec has a plan for it."""

    def apply(pipeline: Any, value: float) -> None:
        enable(pipeline, rule=plan(int(value)))

    return apply


def _tolerance(value: float) -> dict[str, Any]:
    return {"tolerance": value}


def _enabled(settings: Callable[[float], dict[str, Any]], kind: Kind, limit: float) -> Callable[[Any, Any], None]:
    """Teaspec with what a value of the knob sets, beside a forecast."""

    def apply(pipeline: Any, value: float) -> None:
        enable(pipeline, **settings(value), forecast=kind, residual_limit=limit)

    return apply


def _mag_cache(subject: Subject) -> Callable[[Any, Any], None]:
    """Calibrated as its documentation says: one run with `calibrate=True`, and the ratios that it prints."""

    def apply(pipeline: Any, value: float) -> None:
        twin, printed = subject.twin(), io.StringIO()
        twin.transformer.enable_cache(MagCacheConfig(calibrate=True, num_inference_steps=STEPS))
        with redirect_stdout(printed):
            subject.generate(twin, CALIBRATION_SEEDS[0])
        ratios = next(line for line in printed.getvalue().splitlines() if re.match(r"\[\d", line))
        config = MagCacheConfig(threshold=value, mag_ratios=ast.literal_eval(ratios), num_inference_steps=STEPS)
        pipeline.transformer.enable_cache(config)

    return apply


def _taylor_seer(order: int, *, lite: bool = False, attention: list[str] | None = None) -> Callable[[Any, Any], None]:
    def apply(pipeline: Any, value: float) -> None:
        config = TaylorSeerCacheConfig(
            cache_interval=int(value),
            max_order=order,
            taylor_factors_dtype=torch.float32,
            cache_identifiers=attention,
            use_lite_mode=lite,
        )
        pipeline.transformer.enable_cache(config)

    return apply


def _pyramid(blocks: str) -> Callable[[Any, Any], None]:
    def apply(pipeline: Any, value: float) -> None:
        pipeline.transformer.enable_cache(
            PyramidAttentionBroadcastConfig(
                spatial_attention_block_skip_range=int(value),
                spatial_attention_timestep_skip_range=(100, 950),
                spatial_attention_block_identifiers=(blocks,),
                current_timestep_callback=lambda: pipeline.current_timestep,
            )
        )

    return apply


def _faster(blocks: str, layout: str) -> Callable[[Any, Any], None]:
    def apply(pipeline: Any, value: float) -> None:
        pipeline.transformer.enable_cache(
            FasterCacheConfig(
                spatial_attention_block_skip_range=int(value),
                spatial_attention_timestep_skip_range=(-1, 950),
                spatial_attention_block_identifiers=(blocks,),
                current_timestep_callback=lambda: pipeline.current_timestep,
                attention_weight_callback=lambda _module: 0.3,
                # Both models call their two branches one after the other, so there is no batch of both to skip half of.
                is_guidance_distilled=True,
                tensor_format=layout,
            )
        )

    return apply


def _sea_cache(pipeline: Any, value: float) -> None:
    pipeline.transformer.enable_cache(SeaCacheConfig(threshold=value))


def _told_sea_cache(pipeline: Any, value: float) -> None:
    """FLUX's pipeline does not tell step and sigma, without which SeaCache computes every step: here it is told."""
    transformer, scheduler = pipeline.transformer, pipeline.scheduler
    entered = transformer.cache_context

    def told(name: str) -> Any:
        step = scheduler.step_index or 0
        return entered(name, step_index=step, num_inference_steps=STEPS, sigma=float(scheduler.sigmas[step]))

    transformer.cache_context = told
    transformer.enable_cache(SeaCacheConfig(threshold=value, raw_vision_callback=_as_videos))


def _as_videos(_module: Any, args: Any, kwargs: Any) -> list[torch.Tensor]:
    """The latents as SeaCache wants them: (channels, one frame, rows, columns) each."""
    latents = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
    side = math.isqrt(latents.shape[1])
    return [one.t().reshape(-1, 1, side, side) for one in latents]


def _db_cache(subject: Subject, *, taylor: bool, masked: bool = False) -> Callable[[Any, Any], None]:
    def apply(pipeline: Any, value: float) -> None:
        os.environ.setdefault("CACHE_DIT_LOG_LEVEL", "WARNING")  # else it remarks on each pipeline, in ten lines
        import cache_dit

        # It replaces `__call__` of the pipeline's class, so each pipeline gets a class of its own, under the name that
        # cache-dit knows.
        pipeline.__class__ = type(type(pipeline).__name__, (type(pipeline),), {})
        options = {"calibrator_config": cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=1)} if taylor else {}
        how = {"residual_diff_threshold": value}
        if masked:
            mask = cache_dit.steps_mask(total_steps=STEPS, mask_policy=MASKS[int(value)])
            how = {"steps_computation_mask": mask, "steps_computation_policy": "static"}
        config = cache_dit.DBCacheConfig(
            # The defaults, 8 blocks and 8 steps that are always computed, are meant for models with many blocks.
            Fn_compute_blocks=1,
            max_warmup_steps=DB_WARMUP,
            enable_separate_cfg=subject.guidance > 1,
            num_inference_steps=STEPS,
            **how,
        )
        cache_dit.enable_cache(pipeline, cache_config=config, **options)

    return apply
