"""What a setting does in real generations is measured with that very setting."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from teaspec import TeaCacheConfig, apply_teacache_hook, remove_teacache_hook
from teaspec.calibrate.thresholds import Threshold
from teaspec.calibrate.verify import LIMITS, generations, verify
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.calibrate.prompted import Prompted

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]
STEPS = 8


def relative_l1(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().mean() / expected.abs().mean())


def test_errors_are_those_of_the_settings_they_stand_for() -> None:
    pipeline = Prompted()
    made: list[int] = []

    def run(number: int) -> Any:
        return pipeline("a prompt", STEPS, torch.Generator().manual_seed(number))

    def cached(**options: Any) -> tuple[torch.Tensor, float]:
        apply_teacache_hook(pipeline.transformer, TeaCacheConfig(0.2, IDENTITY, **options))
        try:
            result = run(0)
            (counts,) = find_teacache_hook(pipeline.transformer).last_generation.counts.values()
            return result, counts.reused / STEPS
        finally:
            remove_teacache_hook(pipeline.transformer)

    (found,) = verify(run, pipeline.transformer, [Threshold(0.2, 0.5)], IDENTITY, "signed", 1, lambda: made.append(1))
    expected = run(0)
    plain, reused = cached()
    assert 0 < reused < 1
    assert (found.value, found.reused, found.measured) == (0.2, 0.5, pytest.approx(reused))
    assert found.error == pytest.approx(relative_l1(plain, expected), rel=1e-5)
    errors = [relative_l1(cached(residual_order=1, residual_limit=limit)[0], expected) for limit in LIMITS]
    assert [found.forecast[limit] for limit in LIMITS] == pytest.approx(errors, rel=1e-5)
    assert len({found.error, *found.forecast.values()}) == 1 + len(LIMITS)
    assert len(made) == generations([found])
