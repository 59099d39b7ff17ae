"""What a failed call says about sizes: widths, lengths, grids. Each lesson tells whether it changed the inputs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from torch import nn

from teaspec.draft.failure import Failure
from teaspec.draft.inputs import Inputs, config_of

_LARGEST_CONFIG = 600
_LONGEST = 64
_NARROW = 8
"""Coordinates and sizes of pictures are a handful of numbers; a width is more."""


def width(inputs: Inputs, failure: Failure) -> bool:
    """A width that does not fit: the number that was found leads to the input, the other says what it should be."""
    for found, wanted in failure.mismatches:
        for tag, name in inputs.tags.items():
            factor, rest = divmod(found, tag)
            if rest == 0 and factor and wanted % factor == 0 and inputs.settle(name, tag, wanted // factor):
                return True
            # joined with something else
            if factor == 1 and 0 < rest < min(wanted, 900) and inputs.settle(name, tag, wanted - rest):
                return True
            if factor == 1 and rest >= wanted > 1 and _share(inputs, name, tag, rest, wanted):
                return True
        ids = [n for n in inputs.values if (s := inputs.shape(n)) and s[-1] == found and found < _NARROW]
        if ids and wanted < _NARROW and "size of tensor" not in failure.text:
            inputs.shape(ids[0])[-1] = wanted  # type: ignore[index]
            return True
    return False


def joined(inputs: Inputs, failure: Failure) -> bool:
    """Several widths that are not known, joined: what is wanted in sum is shared among them."""
    unknown = [tag for tag, name in inputs.tags.items() if str(tag) in str(inputs.values[name])]
    for found, wanted in failure.mismatches:
        for tags in (tags for count in (2, 3) for tags in combinations(unknown, count)):
            rest = found - sum(tags)
            if not 0 <= rest <= wanted - len(tags):
                continue
            share, more = divmod(wanted - rest, len(tags))
            for number, tag in enumerate(tags):
                inputs.settle(inputs.tags[tag], tag, share + (number < more))
            return True
    return False


def pooled(inputs: Inputs, failure: Failure) -> bool:
    """A vector for each sample, and not for each token, where it meets others of its kind."""
    sizes = {inputs.dims["batch"][1], inputs.dims["image"][1]}
    if not any({found, wanted} == sizes for found, wanted in failure.mismatches) or not failure.places:
        return False
    for name in re.findall(r"\w+", failure.places[0][1]):
        shape = inputs.shape(name) or []
        if name != inputs.hidden and shape[:2] == ["batch", "image"] and len(shape) == 3:
            del shape[1]
            return True
    return False


def _share(inputs: Inputs, name: str, tag: int, rest: int, wanted: int) -> bool:
    """Latents that are joined with another input have but a part of the channels that the config tells."""
    shape = inputs.shape(inputs.hidden) or []
    if (
        name == inputs.hidden
        or rest not in shape
        or rest in inputs.tags
        or not inputs.settle(name, tag, wanted - wanted // 2)
    ):
        return False
    shape[shape.index(rest)] = wanted // 2
    inputs.width = wanted // 2
    return True


def part_width(inputs: Inputs, failure: Failure) -> bool:
    """A width of the parts of a tuple, such as rotary embeddings, where one of them was multiplied in vain."""
    frame, text = failure.places[0]
    for _, name in failure.inputs_in(frame, text):
        value = inputs.values.get(name)
        shapes = value["tuple"] if isinstance(value, dict) and "tuple" in value else []
        for found, wanted in failure.mismatches:
            fitting = [shape for shape in shapes if isinstance(shape, list) and shape[-1] == found]
            for shape in fitting:
                shape[-1] = wanted
            if fitting:
                return True
    return False


def seen_as(inputs: Inputs, failure: Failure) -> bool:
    """A few numbers for each sample, whose embeddings are seen as rows of another length."""
    found = re.search(r"shape '\[-1, (\d+)\]' is invalid for input of size (\d+)", failure.text)
    if not found:
        return False
    row, size = int(found[1]), int(found[2])
    for name in inputs.values:
        shape = inputs.shape(name)
        if shape and len(shape) == 2 and isinstance(shape[1], int) and shape[1] < _NARROW:
            total = shape[1] * row * inputs.dims["batch"][1]
            if total % size == 0 and total // size != shape[1]:
                shape[1] = total // size
                return True
    return False


def length(inputs: Inputs, failure: Failure, module: nn.Module) -> bool:
    """A length that the configuration fixes."""
    for found, wanted in failure.mismatches:
        if _image_is_grid(inputs, found, wanted):
            return True
        names = [n for n, limits in inputs.dims.items() if limits[1] == found and limits[0] != found]
        if len(names) == 1 and 0 < wanted <= _LONGEST and not any(v[1] == wanted for v in inputs.dims.values()):
            if names[0] in ("batch", "text") or _is_sum(inputs, wanted):
                continue
            inputs.dims[names[0]] = [wanted, wanted]
            return True
        # a sequence of several parts is too long or too short by what makes one of them a number of the config
        fixed = {v for v in config_of(module).values() if isinstance(v, int) and 1 < v < _LARGEST_CONFIG}
        for name, limits in inputs.dims.items():
            right = limits[1] + wanted - found
            if limits[0] != limits[1] and name in ("text", "image") and right in fixed:
                inputs.dims[name] = [right, right]
                return True
    return False


def _image_is_grid(inputs: Inputs, found: int, wanted: int) -> bool:
    """Tokens that are those of the picture, and not so many of their own."""
    dims = {name: limits[1] for name, limits in inputs.dims.items()}
    grids = {dims["rows"] * dims["columns"]: "rows * columns"}
    grids[dims["frames"] * dims["rows"] * dims["columns"]] = "frames * rows * columns"
    shapes = [s for n in inputs.values if n != inputs.hidden and (s := inputs.shape(n)) and "image" in s]
    if found != dims["image"] or wanted not in grids or not shapes:
        return False
    for shape in shapes:
        shape[shape.index("image")] = grids[wanted]
    return True


def _is_sum(inputs: Inputs, number: int) -> bool:
    return number == inputs.dims["text"][1] + inputs.dims["image"][1]


def both_sequences(inputs: Inputs, failure: Failure) -> bool:
    """Positions of the joined sequence, and not of the latents alone."""
    for found, wanted in failure.mismatches:
        if found != inputs.dims["image"][1] or not _is_sum(inputs, wanted):
            continue
        shapes = [s for n in inputs.values if n != inputs.hidden and (s := inputs.shape(n)) and s[0] == "image"]
        for shape in shapes:
            shape[0] = "text + image"
        if shapes:
            return True
    return False


def as_long_as_the_latents(inputs: Inputs, failure: Failure) -> bool:
    """A sequence that is as long as the latents, and not as the text."""
    if "must match" not in failure.text or "n" not in inputs.layout:
        return False
    tokens = (inputs.shape(inputs.hidden) or [])[inputs.layout.index("n")]
    for name, shape in _of_text(inputs):
        if name not in inputs.moved and name != "encoder_hidden_states":
            shape[shape.index("text")] = tokens
            inputs.moved.add(name)
            return True
    lengths = {inputs.dims["text"][1], inputs.dims["image"][1]}
    for name, shape in _of_text(inputs):
        # the text itself last, and where the numbers leave no doubt
        if any({found, wanted} == lengths for found, wanted in failure.mismatches):
            shape[shape.index("text")] = tokens
            inputs.moved.add(name)
            return True
    return False


def _of_text(inputs: Inputs) -> Iterator[tuple[str, list[Any]]]:
    for name in inputs.values:
        shape = inputs.shape(name)
        if shape and "text" in shape:
            yield name, shape


def square(inputs: Inputs, failure: Failure) -> bool:
    """Pictures that have to be as high as they are wide."""
    shape = inputs.shape(inputs.hidden) or []
    if "is invalid for input of size" not in failure.text or not any("columns" in str(part) for part in shape):
        return False
    inputs.square = True
    inputs.arrange()
    return True


def divisible(inputs: Inputs, failure: Failure) -> bool:
    """Grids whose height and width have to be a multiple of a number that the message names."""
    found = re.search(r"divisible by (\d+)", failure.text)
    if found is None or not 1 < int(found[1]) <= 16 or "h" not in inputs.layout:
        return False
    frames, rows, columns = inputs.patch
    factor = int(found[1])
    wanted = (frames, math.lcm(rows, factor), math.lcm(columns, factor))
    if wanted == inputs.patch:  # it is the tokens that have to be so many, and not the pixels
        wanted = (frames, rows * factor, columns * factor)
    if max(wanted) > _LONGEST:
        return False
    inputs.patch = wanted
    inputs.arrange()
    return True
