"""Trying a probe: calls of the model's own forward, whose errors say what is wrong with the arguments."""

from __future__ import annotations

import copy
import linecache
import re
import traceback
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from teaspec.draft.inputs import Inputs, add_input, config_of, forward_parameters, is_text

_ATTEMPTS = 24


class Trial:
    """Calls a tiny instance again and again, and learns from each error what its inputs have to be.

    Attributes:
        module: The instance.
        inputs: What is tried; it gets better with each error.
    """

    def __init__(self, module: nn.Module, inputs: Inputs) -> None:
        """Begins with the first guess at the inputs."""
        self.module, self.inputs = module, inputs
        self.parameters = forward_parameters(type(module))
        self._moved: set[str] = set()

    def run(self, call: Any) -> Exception | None:
        """Calls until it works or nothing more can be learned from the error, which is then returned.

        Args:
            call: Makes the arguments from inputs and calls the module with them.
        """
        error: Exception | None = None
        for _ in range(_ATTEMPTS):
            try:
                call(self.module, self.inputs)
                return None
            except Exception as caught:  # what a model says about its arguments comes in every kind
                error = caught
            if not self._learn(error):
                return error
        return error

    def _learn(self, error: Exception) -> bool:
        text = str(error)
        return (
            self._width(text)
            or self._keys(text)
            or self._missing(error)
            or self._per_frame(error)
            or self._looked_up(error)
            or self._dtype(text)
            or self._length(text)
            or self._other_dim(text)
            or self._longer_list(text)
            or self._square(text)
        )

    def _width(self, text: str) -> bool:
        """A width that does not fit: the number that was found leads to the input, the other says what it should be."""
        for found, wanted in _mismatches(text):
            for tag, name in self.inputs.tags.items():
                factor, rest = divmod(found, tag)
                if rest == 0 and wanted % factor == 0 and self.inputs.settle(name, tag, wanted // factor):
                    return True
                # joined with something else
                if factor == 1 and 0 < rest < min(wanted, 900) and self.inputs.settle(name, tag, wanted - rest):
                    return True
            ids = [n for n in self.inputs.values if (s := self.inputs.shape(n)) and s[-1] == found and found < 8]
            if ids and wanted < 8 and "size of tensor" not in text:
                self.inputs.shape(ids[0])[-1] = wanted  # type: ignore[index]
                return True
        return False

    def _per_frame(self, error: Exception) -> bool:
        """A time for each frame, where the forward unpacks the shape of what is one number a sample."""
        if "expected 2, got 1" in str(error) and error.__traceback__:
            *_, (frame, line) = traceback.walk_tb(error.__traceback__)
            names = re.findall(r"(\w+)\.shape", linecache.getline(frame.f_code.co_filename, line))
            if any(self.inputs.shape(name) == ["batch"] for name in names):
                for shape in (self.inputs.shape(name) for name in self.inputs.values):
                    if shape == ["batch"]:
                        shape.append("frames")
                return True
        return False

    def _looked_up(self, error: Exception) -> bool:
        """Numbers of rows of a table, such as class labels, where a model looks up what it was given."""
        for frame, _ in traceback.walk_tb(error.__traceback__):
            numbers, table = frame.f_locals.get("input"), frame.f_locals.get("weight")
            if frame.f_code is not nn.functional.embedding.__code__ or not isinstance(table, torch.Tensor):
                continue
            shape = numbers.shape if isinstance(numbers, torch.Tensor) else ()
            for tag, name in self.inputs.tags.items():
                if tag in shape and name != self.inputs.hidden:
                    of = ["batch", "text"] if is_text(name) else ["batch"]
                    self.inputs.values[name] = {"tensor": of, "dtype": "int64", "range": [0, len(table) - 1]}
                    return True
        return False

    def _keys(self, text: str) -> bool:
        """A dict with other keys: those that a function does not know go, those that it misses are None."""
        dicts = [v["dict"] for v in self.inputs.values.values() if isinstance(v, dict) and "dict" in v]
        unexpected = re.search(r"unexpected keyword argument '(\w+)'", text)
        missing = re.search(r"missing \d+ required positional arguments?: (.*)", text)
        for given in dicts:
            if unexpected and unexpected[1] in given:
                del given[unexpected[1]]
                return True
            if missing and not given:
                given.update(dict.fromkeys(re.findall(r"'(\w+)'", missing[1])))
                return True
        return False

    def _dtype(self, text: str) -> bool:
        """Whole numbers where a model wants fractions, or the other way round."""
        whole = "Long, Int" in text or "tensors used as indices" in text
        fraction = "same dtype" in text or '"Long"' in text or "Long" in text
        for name, value in self.inputs.values.items():
            if "'tuple' object has no attribute" in text and isinstance(value, dict) and "tuple" in value:
                self.inputs.values[name] = value["tuple"][0]
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

    def _length(self, text: str) -> bool:
        """A length that the configuration fixes."""
        for found, wanted in _mismatches(text):
            if self._image_is_grid(found, wanted):
                return True
            names = [n for n, limits in self.inputs.dims.items() if limits[1] == found and limits[0] != found]
            if len(names) == 1 and 0 < wanted <= 64 and not any(v[1] == wanted for v in self.inputs.dims.values()):
                if names[0] in ("batch", "text"):
                    continue
                self.inputs.dims[names[0]] = [wanted, wanted]
                return True
            # a sequence of several parts is too long or too short by what makes one of them a number of the config
            fixed = {v for v in config_of(self.module).values() if isinstance(v, int) and 1 < v < 600}
            for name, limits in self.inputs.dims.items():
                right = limits[1] + wanted - found
                if limits[0] != limits[1] and name in ("text", "image") and right in fixed:
                    self.inputs.dims[name] = [right, right]
                    return True
        return False

    def _longer_list(self, text: str) -> bool:
        """A list with an entry for each of more layers."""
        lists = [v["list"] for v in self.inputs.values.values() if isinstance(v, dict) and "list" in v]
        if "list index out of range" not in text or not lists or len(lists[0]) > 8:
            return False
        lists[0] += copy.deepcopy(lists[0])
        return True

    def _square(self, text: str) -> bool:
        """Pictures that have to be as high as they are wide."""
        shape = self.inputs.shape(self.inputs.hidden) or []
        if "is invalid for input of size" not in text or not any("columns" in str(part) for part in shape):
            return False
        self.inputs.square = True
        self.inputs.arrange()
        return True

    def _image_is_grid(self, found: int, wanted: int) -> bool:
        """Tokens that are those of the picture, and not so many of their own."""
        dims = {name: limits[1] for name, limits in self.inputs.dims.items()}
        grids = {dims["rows"] * dims["columns"]: "rows * columns"}
        grids[dims["frames"] * dims["rows"] * dims["columns"]] = "frames * rows * columns"
        shapes = [
            s for n in self.inputs.values if n != self.inputs.hidden and (s := self.inputs.shape(n)) and "image" in s
        ]
        if found != dims["image"] or wanted not in grids or not shapes:
            return False
        for shape in shapes:
            shape[shape.index("image")] = grids[wanted]
        return True

    def _other_dim(self, text: str) -> bool:
        """A sequence that is as long as the latents, and not as the text."""
        if "must match" not in text or "n" not in self.inputs.layout:
            return False
        for name in self.inputs.values:
            shape = self.inputs.shape(name)
            if shape and "text" in shape and name not in self._moved and name != "encoder_hidden_states":
                shape[shape.index("text")] = (self.inputs.shape(self.inputs.hidden) or ["", "image"])[1]
                self._moved.add(name)
                return True
        return False

    def _missing(self, error: Exception) -> bool:
        """An argument that is None and stands where the forward failed."""
        kinds = (AttributeError, TypeError, ValueError, AssertionError, KeyError)
        if not isinstance(error, kinds) or "values to unpack" in str(error):
            return False
        names = [n for n in _none_on_the_way(error) if n in self.parameters]
        names += [n for n in re.findall(r"\w+", str(error)) if n in self.parameters]
        for name in names:
            if name not in self.inputs.values:
                add_input(self.inputs, name, self.parameters[name])
                return True
        return False


def _mismatches(text: str) -> Iterator[tuple[int, int]]:
    """The numbers of an error of torch: what was found, and what was wanted."""
    patterns = (
        r"shapes cannot be multiplied \(\d+x(?P<found>\d+) and (?P<wanted>\d+)x\d+\)",
        r"to have (?P<wanted>\d+) channels, but got (?P<found>\d+) channels",
        r"size of tensor a \((?P<found>\d+)\) must match the size of tensor b \((?P<wanted>\d+)\)",
        r"size of tensor a \((?P<wanted>\d+)\) must match the size of tensor b \((?P<found>\d+)\)",
        r"expected input with shape \[\*,? ?(?P<wanted>\d+)\], but got input of size\[.*?(?P<found>\d+)\]",
        r"[Ee]xpected size (?P<wanted>\d+) but got size (?P<found>\d+)",
    )
    for pattern in patterns:
        for match in re.finditer(pattern, text):
            yield int(match["found"]), int(match["wanted"])


def _none_on_the_way(error: Exception) -> list[str]:
    """The local names that are None on the lines that failed, the innermost first."""
    found: list[str] = []
    attribute = re.search(r"'NoneType' object has no attribute '(\w+)'", str(error))
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        around = [linecache.getline(frame.f_code.co_filename, line + more) for more in range(14)]
        text = around[0] if not around[0].rstrip().endswith("(") else "".join(around)
        names = [n for n in re.findall(r"\w+", text) if frame.f_locals.get(n, 0) is None]
        if attribute:
            names.sort(key=lambda n: f"{n}.{attribute[1]}" not in text)
        found += names
    return found
