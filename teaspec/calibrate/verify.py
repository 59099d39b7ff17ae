"""What thresholds do in real generations: the share of reused steps, and the error of the results, forecast or not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from teaspec.calibrate.thresholds import Threshold
from teaspec.runtime.calibrations.calibration import Accumulate
from teaspec.runtime.pipeline.apply import apply_teacache_hook, find_teacache_hook, remove_teacache_hook
from teaspec.runtime.rules.change import EPSILON
from teaspec.runtime.settings.config import TeaCacheConfig

LIMITS = (0.5, 1.0)
"""With `residual_order=1`, each of these as `residual_limit` is tried."""

_TRIED: tuple[dict[str, Any], ...] = (
    {"residual_order": 0},
    *({"residual_order": 1, "residual_limit": limit} for limit in LIMITS),
)


def generations(thresholds: Sequence[Threshold]) -> int:
    """Returns how many generations `verify` makes for each prompt."""
    return 1 + len(_TRIED) * len(thresholds)


def verify(
    run: Callable[[int], Any],
    transformer: nn.Module,
    thresholds: Sequence[Threshold],
    coefficients: Sequence[float],
    accumulate: Accumulate,
    count: int,
    done: Callable[[], None] = lambda: None,
) -> tuple[Threshold, ...]:
    """Runs generations uncached and at each threshold, there with each way to use residuals.

    Args:
        run: Makes the generation of a number, always the same for the same number; returns what the pipeline does.
        transformer: The pipeline's transformer.
        thresholds: What to try.
        coefficients: The polynomial, highest degree first.
        accumulate: `signed` or `absolute`.
        count: How many generations each.
        done: Called after each generation.

    Returns:
        The thresholds, with the share of reused steps and the errors.
    """
    reused: dict[int, list[float]] = defaultdict(list)
    errors: dict[tuple[int, float | None], list[float]] = defaultdict(list)
    for number in range(count):
        expected = result_of(run(number))
        done()
        for index, threshold in enumerate(thresholds):
            for options in _TRIED:
                config = TeaCacheConfig(threshold.value, list(coefficients), accumulate=accumulate, **options)
                found, counts = _cached(run, number, transformer, config)
                done()
                limit = options.get("residual_limit")
                errors[index, limit].append(float((found - expected).abs().mean() / (expected.abs().mean() + EPSILON)))
                if limit is None:
                    reused[index].append(sum(one[1] for one in counts) / max(1, sum(map(sum, counts))))
    return tuple(
        replace(
            threshold,
            measured=float(np.mean(reused[index])),
            error=float(np.mean(errors[index, None])),
            forecast={limit: float(np.mean(errors[index, limit])) for limit in LIMITS},
        )
        for index, threshold in enumerate(thresholds)
    )


def _cached(
    run: Callable[[int], Any], number: int, transformer: nn.Module, config: TeaCacheConfig
) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """The result of a cached generation, and what its branches did."""
    apply_teacache_hook(transformer, config)
    try:
        return result_of(run(number)), _counts(transformer)
    finally:
        remove_teacache_hook(transformer)


def _counts(transformer: nn.Module) -> list[tuple[int, int]]:
    """Computed and reused steps of each branch of the generation that has just ended."""
    hook = find_teacache_hook(transformer)
    assert hook is not None
    counts = hook.counts or (hook.last_generation.counts if hook.last_generation else {})
    return [(one.computed, one.reused) for one in counts.values()]


def result_of(output: Any) -> torch.Tensor:
    """Returns what a pipeline made as one tensor.

    Args:
        output: What the pipeline returned: tensors or arrays, in a tuple, a list or an output of diffusers.

    Raises:
        ValueError: If there is no tensor or array in it.
    """
    found = list(_tensors(output))
    if not found:
        raise ValueError(f"the pipeline must return tensors or arrays to be compared, found a {type(output).__name__}")
    return torch.cat([one.detach().float().flatten().cpu() for one in found])


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    # Outputs of diffusers are mappings that pytree does not know.
    leaves = tree_leaves(tuple(value.values()) if isinstance(value, Mapping) else value)
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            yield leaf
        elif isinstance(leaf, np.ndarray):
            yield torch.from_numpy(leaf)
        elif hasattr(leaf, "__array_interface__"):  # an image of PIL
            yield torch.from_numpy(np.asarray(leaf).copy())
