"""What a failed call says about the kind of an input: present or not, how many dims, which numbers, which keys."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Mapping

import torch
from torch import nn

from teaspec.draft.failure import Failure
from teaspec.draft.inputs import Inputs, add_input, config_of, described_shape, is_text

_MOST_LAYERS = 8
_NAMED = {"f": "frames", "n": "image", "l": "image"}
"""What a docstring calls the second dim of an argument, by its first letter."""


def missing(inputs: Inputs, failure: Failure, parameters: Mapping[str, inspect.Parameter]) -> bool:
    """An argument that is None and stands where the forward failed."""
    kinds = (AttributeError, TypeError, ValueError, AssertionError, KeyError)
    if not isinstance(failure.error, kinds) or "values to unpack" in failure.text:
        return False
    names = [n for n in failure.nones() if n in parameters]
    names += [n for n in re.findall(r"\w+", failure.text) if n in parameters]
    for name in names:
        if name not in inputs.values:
            add_input(inputs, name, parameters[name])
            return True
    return False


def rank(inputs: Inputs, failure: Failure, module: nn.Module) -> bool:
    """More or fewer dims, where the forward unpacks the shape of an argument."""
    name, targets = failure.unpacked() or ("", [])
    shape = inputs.shape(name) if name else None
    if shape is None or name == inputs.hidden:
        return False
    if shape == ["batch"] and len(targets) == 2:  # a time for each frame, and so for all times
        for other in (inputs.shape(name) for name in inputs.values):
            if other == ["batch"]:
                other.append("frames")
        return True
    config = config_of(module)
    while len(shape) < len(targets):
        place = len(shape) - 1
        size = config.get(targets[place])
        shape.insert(place, size if isinstance(size, int) else inputs.new_tag(name))
    del shape[1 : 1 + len(shape) - len(targets)]
    return True


def described_rank(inputs: Inputs, model_class: type[nn.Module]) -> bool:
    """More dims, where the docstring gives an argument a longer shape; asked where the error itself says nothing."""
    for name in inputs.values:
        shape, described = inputs.shape(name), described_shape(model_class, name) or []
        if shape == ["batch"] and len(described) == 2 and (dim := _NAMED.get(described[1][:1].lower())):
            shape.append(dim)
            return True
        if shape is None or name == inputs.hidden or not 1 < len(shape) < len(described):
            continue
        shape[1:1] = [inputs.new_tag(name) for _ in range(len(described) - len(shape))]
        return True
    return False


def batched(inputs: Inputs, failure: Failure) -> bool:
    """Positions for each sample, where those of two sequences are joined along the second dim."""
    if "must match except in dimension 1" not in failure.text:
        return False
    frame, text = failure.places[0]
    shapes = [inputs.shape(name) or [] for name in dict(failure.inputs_in(frame, text)).values()]
    if len(shapes) < 2 or any(len(shape) != 2 or shape[0] == "batch" for shape in shapes):
        return False
    for shape in shapes:
        shape.insert(0, "batch")
    return True


def smaller_numbers(inputs: Inputs, failure: Failure) -> bool:
    """Smaller numbers of rows, where a model adds to them before it looks them up."""
    if "index out of range" not in failure.text:
        return False
    for value in inputs.values.values():
        limits = value.get("range") if isinstance(value, dict) and value.get("dtype") == "int64" else None
        if limits and limits[1] > 1 and limits != [0, 1000]:
            value["range"] = [limits[0], limits[1] // 2]
            return True
    return False


def looked_up(inputs: Inputs, failure: Failure) -> bool:
    """Numbers of rows of a table, such as class labels, where a model looks up what it was given."""
    for frame, _ in failure.places:
        numbers, table = frame.f_locals.get("input"), frame.f_locals.get("weight")
        if frame.f_code is not nn.functional.embedding.__code__ or not isinstance(table, torch.Tensor):
            continue
        shape = numbers.shape if isinstance(numbers, torch.Tensor) else ()
        for tag, name in inputs.tags.items():
            if tag in shape and name != inputs.hidden:
                of = ["batch", "text"] if is_text(name) else ["batch"]
                inputs.values[name] = {"tensor": of, "dtype": "int64", "range": [0, len(table) - 1]}
                return True
    return False


def keys(inputs: Inputs, failure: Failure) -> bool:
    """A dict with other keys: those that a function does not know go, those that it misses are None."""
    dicts = [v["dict"] for v in inputs.values.values() if isinstance(v, dict) and "dict" in v]
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", failure.text)
    absent = re.search(r"missing \d+ required positional arguments?: (.*)", failure.text)
    for given in dicts:
        if unexpected and unexpected[1] in given:
            del given[unexpected[1]]
            return True
        if absent and not given:
            given.update(dict.fromkeys(re.findall(r"'(\w+)'", absent[1])))
            return True
    return False


def dtype(inputs: Inputs, failure: Failure) -> bool:
    """Whole numbers where a model wants fractions, or the other way round."""
    text = failure.text
    whole = "Long, Int" in text or "tensors used as indices" in text
    fraction = "same dtype" in text or '"Long"' in text or "Long" in text
    for name, value in inputs.values.items():
        if "'tuple' object has no attribute" in text and isinstance(value, dict) and "tuple" in value:
            inputs.values[name] = value["tuple"][0]
            return True
        if not isinstance(value, dict) or "tensor" not in value:
            continue
        if whole and value.pop("integer", False):
            value["dtype"] = "int64"
            return True
        if fraction and not whole and value.get("dtype") == "int64":
            del value["dtype"]
            return True
    return False


def longer_list(inputs: Inputs, failure: Failure) -> bool:
    """A list with an entry for each of more layers."""
    lists = [v["list"] for v in inputs.values.values() if isinstance(v, dict) and "list" in v]
    if "list index out of range" not in failure.text or not lists or len(lists[0]) > _MOST_LAYERS:
        return False
    lists[0] += copy.deepcopy(lists[0])
    return True
