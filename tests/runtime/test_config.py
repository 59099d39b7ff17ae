from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest

from teaspec import TeaCacheConfig, register_extractor
from tests.runtime.models import extract_single

FIVE = [1.0, 2.0, 3.0, 4.0, 5.0]


def test_defaults_are_the_documented_ones() -> None:
    config = TeaCacheConfig()
    assert config.rel_l1_thresh == 0.2
    assert config.coefficients is None
    assert config.transformer_type == "QwenImageTransformer2DModel"
    assert isinstance(config.transformer_type, str)
    assert config.accumulate is None
    assert config.variant is None
    assert (config.warmup_steps, config.cooldown_steps, config.start, config.end) == (None, None, 0.0, 1.0)
    assert (config.max_consecutive_reuses, config.num_inference_steps) == (None, None)


def test_a_type_that_was_given_is_told_from_the_default() -> None:
    register_extractor("QwenImageTransformer2DModel", extract_single)
    assert not TeaCacheConfig().is_type_given
    assert TeaCacheConfig(transformer_type="QwenImageTransformer2DModel").is_type_given


@pytest.mark.parametrize(
    "carried",
    [
        lambda config: dataclasses.replace(config, rel_l1_thresh=0.3),
        copy.copy,
        copy.deepcopy,
        lambda config: pickle.loads(pickle.dumps(config)),
        lambda config: TeaCacheConfig(**dataclasses.asdict(config)),
    ],
    ids=["replace", "copy", "deepcopy", "pickle", "asdict"],
)
def test_not_given_survives(carried: Any) -> None:
    config = carried(TeaCacheConfig())
    assert not config.is_type_given
    assert config.transformer_type == "QwenImageTransformer2DModel"


@pytest.mark.parametrize("threshold", [0, -0.1, math.nan, math.inf, "0.2", None, True])
def test_a_threshold_must_be_a_finite_number_above_zero(threshold: Any) -> None:
    with pytest.raises(ValueError, match=r"rel_l1_thresh must be a finite number above 0, found"):
        TeaCacheConfig(rel_l1_thresh=threshold)


@pytest.mark.parametrize(
    "coefficients", [[], FIVE[:4], [*FIVE, 6.0], [*FIVE[:4], math.nan], [*FIVE[:4], "5"], "12345", 5]
)
def test_coefficients_must_be_five_finite_numbers(coefficients: Any) -> None:
    with pytest.raises(ValueError, match="coefficients must be 5 finite numbers"):
        TeaCacheConfig(coefficients=coefficients)


@pytest.mark.parametrize(
    "coefficients", [tuple(FIVE), np.array(FIVE), np.array(FIVE, dtype=np.float32), [1, 2, 3, 4, 5]]
)
def test_any_sequence_of_numbers_becomes_a_list_of_floats(coefficients: Any) -> None:
    found = TeaCacheConfig(coefficients=coefficients).coefficients
    assert found == FIVE
    assert all(type(value) is float for value in found)


def test_the_callers_list_is_not_shared() -> None:
    mine = list(FIVE)
    TeaCacheConfig(coefficients=mine).coefficients[0] = 9.0
    assert mine == FIVE


def test_accumulate_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="accumulate must be 'signed', 'absolute' or None, found 'abs'"):
        TeaCacheConfig(accumulate="abs")


@pytest.mark.parametrize("variant", ["", 3, ["kontext"]])
def test_a_variant_is_a_name(variant: Any) -> None:
    with pytest.raises(ValueError, match="variant must be a name or None, found"):
        TeaCacheConfig(variant=variant)


@pytest.mark.parametrize("name", ["warmup_steps", "cooldown_steps"])
@pytest.mark.parametrize("steps", [-1, 1.5, -0.1, math.nan, True, "5"])
def test_steps_at_the_ends_are_a_count_or_a_fraction(name: str, steps: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 0, a fraction .*, or None, found"):
        TeaCacheConfig(**{name: steps})
    assert getattr(TeaCacheConfig(**{name: 1.0}), name) == 1.0


@pytest.mark.parametrize("name", ["max_consecutive_reuses", "num_inference_steps"])
@pytest.mark.parametrize("steps", [0, -1, 1.0, True, "5"])
def test_limits_are_counts(name: str, steps: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, or None, found"):
        TeaCacheConfig(**{name: steps})


@pytest.mark.parametrize(
    ("start", "end", "named"),
    [(-0.1, 1.0, "start"), (1.0, 1.0, "start"), (None, 1.0, "start"), (0.5, 0.5, "end"), (0.0, 1.1, "end")],
)
def test_the_window_is_a_pair_of_fractions(start: Any, end: Any, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named} must be a fraction"):
        TeaCacheConfig(start=start, end=end)


def test_an_unknown_type_without_coefficients_lists_what_is_known() -> None:
    register_extractor("SingleStream", extract_single)
    register_extractor("Other", extract_single)
    with pytest.raises(KeyError, match=r"'SingelStream'; did you mean 'SingleStream'\?.*Other, SingleStream"):
        TeaCacheConfig(transformer_type="SingelStream")
    assert TeaCacheConfig(transformer_type="SingelStream", coefficients=FIVE).transformer_type == "SingelStream"
