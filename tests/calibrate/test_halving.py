"""A value is found between two that are far apart."""

from __future__ import annotations

import pytest

from teaspec.calibrate.halving import halved


@pytest.mark.parametrize("wanted", [2e-4, 0.02, 0.9])
def test_what_is_looked_for_stays_in_the_interval(wanted: float) -> None:
    """Four powers of ten, halved six times. Mutations seen red: the other end moved; the middle without logarithms."""
    low, high = halved(1e-4, 1.0, lambda one: one < wanted, 6)
    assert low < wanted <= high
    assert high / low == pytest.approx(10 ** (4 / 64))
