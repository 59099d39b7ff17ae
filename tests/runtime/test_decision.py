from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from teaspec.runtime.rules import change
from teaspec.runtime.rules.change import Change
from teaspec.runtime.rules.numbers import read
from teaspec.runtime.rules.threshold import Accumulated, Polynomial, Threshold
from teaspec.runtime.rules.verdict import Verdict

REAL = st.floats(-100, 100)


def relative_l1(current: torch.Tensor, previous: torch.Tensor) -> float:
    (value,) = read(*Threshold().numbers(Change.of(current, previous)))
    assert value is not None
    return value


def test_relative_l1_is_the_mean_change_over_the_mean_magnitude() -> None:
    previous = torch.tensor([[1.0, -3.0]])
    current = torch.tensor([[2.0, -3.0]])
    assert relative_l1(current, previous) == pytest.approx(0.5 / 2.0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_relative_l1_is_taken_in_float32_whatever_the_dtype(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    previous = torch.randn(3, 1000, generator=generator).to(dtype)
    current = (previous.float() * 1.01 + 0.003).to(dtype)
    old, new = previous.double(), current.double()
    expected = ((new - old).abs().mean() / old.abs().mean()).item()
    assert relative_l1(current, previous) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_what_is_measured_in_pieces_is_all_of_it(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "PIECE", 100)
    previous = torch.randn(7, 30, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    current = (previous.transpose(0, 1) * 1.5).transpose(0, 1)  # not contiguous
    old, new = previous.double(), current.double()
    expected = ((new - old).abs().mean() / old.abs().mean()).item()
    assert relative_l1(current, previous) == pytest.approx(expected, rel=1e-5)


def test_relative_l1_of_half_precision_does_not_overflow() -> None:
    previous = torch.full((4,), 60_000.0, dtype=torch.float16)
    assert relative_l1(-previous, previous) == pytest.approx(2.0)


def test_relative_l1_of_zeros_is_finite() -> None:
    zero = torch.zeros(2, 3)
    assert relative_l1(zero, zero) == 0
    assert relative_l1(zero + 1e-8, zero) == pytest.approx(1.0)


def test_relative_l1_leaves_its_arguments_alone() -> None:
    previous, current = torch.full((3,), -1.0), torch.full((3,), -2.0)
    relative_l1(current, previous)
    assert previous.tolist() == [-1.0] * 3
    assert current.tolist() == [-2.0] * 3


@given(st.lists(REAL, min_size=5, max_size=5), REAL)
def test_polynomial_agrees_with_poly1d(coefficients: list[float], x: float) -> None:
    assert Polynomial(tuple(coefficients))(x) == pytest.approx(float(np.poly1d(coefficients)(x)), rel=1e-9, abs=1e-9)


def decide(distance: float, total: float, rescale: Polynomial, accumulate: Any = "signed") -> Verdict:
    return Threshold(0.5, rescale, accumulate).decide((distance,), None, Accumulated(total))


def test_signed_accumulation_lowers_the_sum_and_absolute_raises_it() -> None:
    negative = Polynomial((-1.0, 0.0))
    assert decide(0.1, 0.15, negative, "signed").numbers["accumulated"] == pytest.approx(0.05)
    assert decide(0.1, 0.15, negative, "absolute").numbers["accumulated"] == pytest.approx(0.25)


def test_what_stays_below_is_reused() -> None:
    identity = Polynomial((0, 0, 0, 1, 0))
    reused, computed = decide(0.125, 0.25, identity), decide(0.25, 0.25, identity)
    assert (reused.choice, reused.numbers["accumulated"]) == ("reuse", 0.375)
    assert (computed.choice, computed.numbers["accumulated"]) == ("compute", 0.5)


@pytest.mark.parametrize("distance", [math.nan, math.inf, 1e300])
def test_what_is_not_finite_computes(distance: float) -> None:
    verdict = decide(distance, 0.0, Polynomial((-1, 0, 0, 0, 0)))
    assert (verdict.choice, verdict.reason, verdict.yields) == ("compute", "non-finite distance", False)
