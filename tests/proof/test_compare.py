"""Comparisons that must not be fooled."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch

from teaspec.proof.compare import (
    ViolationError,
    named_tensors,
    require_close,
    require_equal,
    require_same_form,
    require_telling,
    same_value,
)
from tests.proof.small import Output

ONE = torch.tensor([1.0, 2.0])


class Store:
    """An object of a model's own: it has attributes, and no equality of its own."""

    def __init__(self, **held):
        self.__dict__ = held


def test_tensors_are_found_in_every_container():
    value = {"a": [ONE, (ONE,)], "b": Output(ONE), "c": 3, "d": Store(kept=[ONE]), "e": len}
    assert [name for name, _ in named_tensors(value)] == [
        "output['a'][0]",
        "output['a'][1][0]",
        "output['b'].sample",
        "output['d'].kept[0]",
    ]


def test_equal_needs_every_bit():
    require_equal((ONE,), (ONE.clone(),), "here")
    with pytest.raises(
        ViolationError, match=r"here: output\[0\] differs, largest absolute difference 1.19e-07"
    ) as info:
        require_equal((ONE,), (torch.tensor([1.0 + 2**-23, 2.0]),), "here")
    assert info.value.max_abs_difference == 2**-23


def test_a_nan_is_never_equal_nor_close():
    nan = torch.tensor([float("nan"), 2.0])
    with pytest.raises(ViolationError):
        require_equal(nan, nan, "here")
    with pytest.raises(ViolationError):
        require_close(nan, nan, "here", 1.0)


@pytest.mark.parametrize(
    "other",
    [[ONE], (ONE, ONE), (), (ONE.double(),), (ONE[None],), (None,)],
    ids=["type", "more", "fewer", "dtype", "shape", "none"],
)
def test_another_form(other):
    with pytest.raises(ViolationError):
        require_same_form((ONE,), other)


def test_close_is_relative_to_the_largest_magnitude_and_at_least_one():
    require_close(ONE * 100, ONE * 100 + 1e-3, "here", 1e-5)
    with pytest.raises(ViolationError, match=r"allowed 0.002"):
        require_close(ONE * 100, ONE * 100 + 3e-3, "here", 1e-5)
    require_close(ONE * 1e-9, ONE * 1e-9 + 1e-6, "here", 1e-5)


@pytest.mark.parametrize("value", [None, (), (torch.ones(3),), torch.tensor([1.0, float("inf")])])
def test_what_tells_nothing(value):
    with pytest.raises(ViolationError):
        require_telling(value)


def test_what_tells_something():
    require_telling((ONE,))
    require_telling(torch.tensor([4.0]))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (ONE, ONE.clone(), True),
        (ONE, ONE.double(), False),
        (ONE, [1.0, 2.0], False),
        ({"a": [ONE]}, {"a": [ONE.clone()]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ({"a": 1}, OrderedDict(a=1), False),
        ((1, 2), [1, 2], False),
        ([1, 2], [1], False),
        (1, True, False),
        (Store(kept=[ONE], mode=None), Store(kept=[ONE.clone()], mode=None), True),
        (Store(kept=[ONE]), Store(kept=[ONE + 1]), False),
        (Store(kept=1), Store(), False),
    ],
)
def test_same_value(left, right, same):
    assert same_value(left, right) is same
