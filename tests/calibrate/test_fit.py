"""The polynomial, what is said about it, shards, and thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teaspec.calibrate import (
    Pairs,
    Trajectory,
    calculate_relative_l1,
    estimate_teacache_coefficients,
    fit_pairs,
)
from teaspec.calibrate.plot import draw
from teaspec.calibrate.thresholds import find_thresholds, reuse_rate

FLUX = [498.651651, -283.781631, 55.8554382, -3.82021401, 0.264230861]


def pairs(
    coefficients: list[float], generations: int = 4, noise: float = 0.0, low: float = 0.02, high: float = 0.3
) -> Pairs:
    generator = np.random.default_rng(0)
    trajectories = []
    for number in range(generations):
        distances = generator.uniform(low, high, 20)
        changes = np.polyval(coefficients, distances) + noise * generator.standard_normal(20)
        trajectories.append(Trajectory(f"#{number % 2}", distances, changes))
    return Pairs("FluxTransformer2DModel", tuple(trajectories))


@pytest.mark.parametrize("coefficients", [FLUX, [0.0, 0.0, 0.0, 1.0, 0.0], [-450.0, 280.0, -45.0, 3.2, -0.02]])
def test_known_coefficients_are_recovered(coefficients: list[float]) -> None:
    fit = fit_pairs(pairs(coefficients))
    np.testing.assert_allclose(fit.coefficients, coefficients, rtol=1e-6, atol=1e-6)
    assert fit.r2 == pytest.approx(1)
    assert fit.cross_validated_r2 == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=5, max_size=5))
def test_any_coefficients_are_recovered(coefficients: list[float]) -> None:
    np.testing.assert_allclose(fit_pairs(pairs(coefficients)).coefficients, coefficients, rtol=1e-6, atol=1e-6)


def steps_on(coefficients: list[float], count: int = 30) -> list[tuple[Any, Any]]:
    """Steps whose signal moves by drawn distances, and whose output by the polynomial of them."""
    generator = np.random.default_rng(1)
    signal, output = np.ones((2, 8)), np.ones((2, 6))
    steps = [(signal, output)]
    for distance in generator.uniform(0.02, 0.3, count):
        signal = signal * (1 + distance)
        output = output * (1 + np.polyval(coefficients, distance))
        steps.append((signal, output))
    return steps


def test_known_coefficients_are_recovered_from_tensors() -> None:
    found = estimate_teacache_coefficients([steps_on(FLUX), steps_on(FLUX, 9)])
    np.testing.assert_allclose(found, FLUX, rtol=1e-6, atol=1e-5)


def test_trajectories_are_not_joined() -> None:
    alone = [steps_on([2.0, 0.0], 1)] * 3 + [[(np.ones(1), np.ones(1)), (1.2 * np.ones(1), 1.4 * np.ones(1))]]
    joined = estimate_teacache_coefficients(alone, poly_order=1)
    np.testing.assert_allclose(joined, [2.0, 0.0], atol=1e-6)  # from one to the next, the output would jump back


def test_a_lower_degree_is_filled_up() -> None:
    fit = fit_pairs(pairs([0.0, 0.0, 3.0, 2.0, 1.0]), order=2)
    np.testing.assert_allclose(fit.coefficients, [0, 0, 3, 2, 1], atol=1e-8)
    assert len(estimate_teacache_coefficients([steps_on(FLUX)], poly_order=2)) == 3


@pytest.mark.parametrize("order", [0, 5, 2.0, True])
def test_degrees_that_the_runtime_cannot_use_are_refused(order: Any) -> None:
    with pytest.raises(ValueError, match="degree must be an integer from 1 to 4"):
        fit_pairs(pairs(FLUX), order=order)


def test_too_few_pairs_are_refused() -> None:
    few = Pairs("T", (Trajectory("#0", np.array([0.1] * 9), np.array([0.2] * 9)),))
    with pytest.raises(ValueError, match="degree 4 needs more than 4 different distances, found 1 in 9 pairs"):
        fit_pairs(few)
    with pytest.raises(ValueError, match="found 0 in 0 pairs"):
        fit_pairs(Pairs("T", ()))


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        fit_pairs(Pairs("T", (Trajectory("#0", np.linspace(0, 1, 9), np.full(9, np.nan)),)))


def test_noise_shows_in_both_measures() -> None:
    fit = fit_pairs(pairs([0.0, 0.0, 0.0, 0.0, 1.0], noise=0.1))  # nothing but noise around a constant
    assert fit.cross_validated_r2 is not None
    assert fit.cross_validated_r2 < 0.1 < 0.2 > fit.r2 > fit.cross_validated_r2
    assert fit_pairs(pairs(FLUX, generations=1)).cross_validated_r2 is None


def test_where_the_polynomial_is_negative_and_leaves_what_was_seen() -> None:
    fit = fit_pairs(pairs([0.0, 0.0, 1.0, 0.0, -0.04], low=0.1, high=0.5))
    ((start, end),) = fit.negative
    assert (start, end) == pytest.approx((0, 0.2), abs=1e-6)
    low, high = fit.distances
    assert 0.1 <= low < high <= 0.5
    assert fit.outside == ()
    bent = Pairs("T", (Trajectory("#0", np.array([0, 0.1, 0.2, 0.3, 1.0]), np.array([0, 1.0, 0.5, 1.0, 0.2])),))
    assert fit_pairs(bent).outside  # a polynomial through five points leaves their range between the last two


def test_a_shard_comes_back_as_it_was(tmp_path: Path) -> None:
    saved, path = pairs(FLUX), tmp_path / "pairs.shard"
    saved.save(path)
    loaded = Pairs.load(path)
    assert loaded.transformer_type == saved.transformer_type
    assert [one.branch for one in loaded.trajectories] == ["#0", "#1", "#0", "#1"]
    assert [one.key for one in loaded.trajectories] == [one.key for one in saved.trajectories]
    Pairs("T", ()).save(path)
    assert len(Pairs.load(path)) == 0


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is no shard of collected pairs"):
        Pairs.load(tmp_path / "a.npz")


def test_an_archive_of_other_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", distances=np.ones(3))
    with pytest.raises(ValueError, match=r"a\.npz is no shard of collected pairs"):
        Pairs.load(tmp_path / "a.npz")


def test_shards_of_two_processes_fit_like_one() -> None:
    whole = pairs(FLUX, noise=0.01)
    parts = [Pairs(whole.transformer_type, whole.trajectories[start::2]) for start in (0, 1)]
    assert fit_pairs(Pairs.merge(parts)).coefficients == pytest.approx(fit_pairs(whole).coefficients)
    with pytest.raises(ValueError, match="very same generation"):
        Pairs.merge([whole, parts[0]])
    with pytest.raises(ValueError, match="about one transformer, found FluxTransformer2DModel, T"):
        Pairs.merge([whole, Pairs("T", ())])
    with pytest.raises(ValueError, match="found no shard"):
        Pairs.merge([])


def test_decisions_are_replayed() -> None:
    one = Pairs("T", (Trajectory("#0", np.full(9, 0.1), np.full(9, 0.1)),))  # ten steps
    identity = [0.0, 0.0, 0.0, 1.0, 0.0]
    # The first is computed, two are reused at 0.1 and 0.2, the fourth reaches 0.3, and so on; the last is computed.
    assert reuse_rate(one, 0.25, identity) == pytest.approx(6 / 10)
    assert reuse_rate(one, 0.05, identity) == 0
    assert reuse_rate(one, 9.0, identity) == pytest.approx(8 / 10)
    assert reuse_rate(one, 0.25, [0, 0, 0, -1, 0], "absolute") == pytest.approx(6 / 10)
    assert reuse_rate(one, 0.25, [0, 0, 0, -1, 0], "signed") == pytest.approx(8 / 10)


def test_thresholds_reach_the_rates_that_are_asked_for() -> None:
    collected = pairs(FLUX)
    found = find_thresholds(collected, FLUX)
    assert [round(one.reused, 1) for one in found] == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7], abs=0.11)
    assert [one.value for one in found] == sorted({one.value for one in found})
    assert all(one.reused == reuse_rate(collected, one.value, FLUX) for one in found)
    assert find_thresholds(collected, [0.0] * 5) == ()


def test_the_relative_change() -> None:
    assert calculate_relative_l1(np.array([1.0, -3.0]), np.array([2.0, -1.0])) == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match="one shape"):
        calculate_relative_l1(np.ones(2), np.ones(3))


def test_the_picture_has_points_fit_and_identity(tmp_path: Path) -> None:
    collected = pairs([0.0, 0.0, 1.0, 0.0, -0.04], noise=0.01)
    figure = draw(collected, fit_pairs(collected), tmp_path / "fit.png")
    (axes,) = figure.axes
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")
    assert "modulated input" in axes.get_xlabel()
    assert "output" in axes.get_ylabel()
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == ["pairs, branch #0", "pairs, branch #1", "polynomial below 0", "identity", "polynomial of degree 4"]
