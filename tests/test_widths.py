"""Inputs of a probe at the widths of another config."""

from __future__ import annotations

from itertools import islice

from teaspec.compiler.forms.probe import Probe
from tools.models.widths import adapted

OWN = {"channels": 4, "text_dim": 12, "axes": [4, 4, 8], "heads": 2, "head_dim": 6, "mode": "x"}
OTHER = {
    "channels": 64,
    "text_dim": 4096,
    "axes": [16, 56, 56],
    "heads": 24,
    "head_dim": 128,
    "layers": 19,
    "mode": "y",
}


def probe_of(inputs, dims=None):
    return Probe(dims=dims or {"batch": [1, 3], "rows": [1, 4]}, inputs=inputs)


def shapes(probe):
    return {
        name: [size.evaluate({"batch": 1, "rows": 5}) for size in given.value.shape]
        for name, given in probe.inputs.items()
    }


def test_widths_follow_the_config_and_factors_stay():
    probe = probe_of({"hidden": ["batch", 4, "2 * rows"], "text": ["batch", 12], "maybe?": ["batch", 12]})
    first = next(adapted(probe, OWN, OTHER, 10))
    assert shapes(first) == {"hidden": [1, 64, 10], "text": [1, 4096]}


def test_all_that_a_number_may_stand_for_is_tried():
    """4 is the channels or the first two axes, 12 the text or heads times channels of a head."""
    probe = probe_of({"hidden": [4], "text": [12]})
    tried = [(shape["hidden"][0], shape["text"][0]) for shape in map(shapes, adapted(probe, OWN, OTHER, 100))]
    assert tried[0] == (64, 4096)
    assert {(64, 24 * 128), (16, 4096), (4, 12)} <= set(tried)


def test_equal_numbers_may_stand_for_different_things():
    probe = probe_of({"hidden": [4], "ids": [4]})
    alike = list(islice(adapted(probe, OWN, OTHER, 3), 3))
    assert all(shapes(one)["hidden"] == shapes(one)["ids"] for one in alike)
    assert {"hidden": [64], "ids": [16]} in map(shapes, adapted(probe, OWN, OTHER, 100))


def test_masks_let_everything_through_and_fixed_dims_count_as_widths():
    probe = probe_of({"mask": {"mask": ["batch", "rows"]}}, {"batch": [1, 3], "rows": 4})
    first = next(adapted(probe, OWN, OTHER, 10))
    assert first.inputs["mask"].value.range == (1, 1) and first.inputs["mask"].value.dtype == "bool"
    assert first.dims == {"batch": (1, 3), "rows": (64, 64)}


def test_sizes_inside_lists_are_found():
    probe = probe_of({"items": {"repeat": "batch", "of": {"tuple": [["rows", 12], 7]}}})
    first = next(adapted(probe, OWN, OTHER, 10))
    tensor, constant = first.inputs["items"].value.value.items
    assert [size.evaluate({"rows": 5}) for size in tensor.shape] == [5, 4096]
    assert constant.value == 7
