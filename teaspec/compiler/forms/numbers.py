"""The numbers of a probe: sizes, ranges, dims."""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeGuard

from pydantic import PlainValidator, WithJsonSchema

from teaspec.compiler.forms.expression import MAX_LENGTH, Expression, ExpressionError, parse_expression
from teaspec.compiler.forms.frozen import describe
from teaspec.compiler.forms.mistake import mistake

DType = Literal[
    "float", "float16", "bfloat16", "float32", "float64", "complex64",
    "int8", "uint8", "int16", "int32", "int64", "bool",
]  # fmt: skip
"""`float` is the dtype that the proof draws for the whole probe."""

ModuleDType = Literal["float32", "bfloat16"]
"""The dtypes of the tiny instance of a model; the proof tries both where the spec does not say otherwise."""

MAX_DIM = 4096


def _size(raw: object) -> Expression:
    if isinstance(raw, Expression):
        return raw
    if not _is_integer(raw) and not isinstance(raw, str):
        raise mistake("bad-size", f"a size is an integer, a dim or an expression of them, not {describe(raw)}")
    text = str(raw)
    try:
        return parse_expression(text)
    except ExpressionError as error:
        raise mistake("bad-size", f"`{text}` is not a size: {error}") from None


def _is_integer(raw: object) -> TypeGuard[int]:
    return isinstance(raw, int) and not isinstance(raw, bool)


def _is_number(raw: object) -> TypeGuard[float]:
    return isinstance(raw, int | float) and not isinstance(raw, bool)


def _pair(raw: object) -> tuple[object, object]:
    """Returns the two items of a list, or twice None for anything else."""
    if isinstance(raw, list | tuple) and len(raw) == 2:
        return raw[0], raw[1]
    return None, None


def _number_range(raw: object) -> tuple[float, float]:
    lowest, highest = _pair(raw)
    if not _is_number(lowest) or not _is_number(highest):
        raise mistake("bad-range", f"a range is `[lowest, highest]`, two numbers; found {describe(raw)}")
    if not math.isfinite(lowest) or not math.isfinite(highest):
        raise mistake("non-finite-number", "the ends of a range are finite")
    if lowest > highest:
        raise mistake("bad-range", f"the range begins at `{lowest}`, above its end `{highest}`")
    return float(lowest), float(highest)


def _dim_range(raw: object) -> tuple[int, int]:
    smallest, largest = (raw, raw) if _is_integer(raw) else _pair(raw)
    if not _is_integer(smallest) or not _is_integer(largest):
        raise mistake("bad-dim", f"a dim is an integer or `[smallest, largest]`, two integers; found {describe(raw)}")
    if smallest > largest:
        raise mistake("bad-dim", f"the dim begins at `{smallest}`, above its end `{largest}`")
    for end in (smallest, largest):
        if not 0 <= end <= MAX_DIM:
            raise mistake("bad-dim", f"a dim lies between 0 and {MAX_DIM}; found the number `{end}`")
    return smallest, largest


_SIZE = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": "^([A-Za-z0-9_ +*()-]|//)+$", "maxLength": MAX_LENGTH},
    ]
}
_RANGE = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_DIM = {"type": "integer", "minimum": 0, "maximum": MAX_DIM}
_DIM_RANGE = {"anyOf": [_DIM, {"type": "array", "items": _DIM, "minItems": 2, "maxItems": 2}]}

Size = Annotated[Expression, PlainValidator(_size), WithJsonSchema(_SIZE)]
"""An integer that may depend on dims: an entry of a shape, a count."""

Range = Annotated[tuple[float, float], PlainValidator(_number_range), WithJsonSchema(_RANGE)]
"""Lowest and highest value of a tensor."""

DimRange = Annotated[tuple[int, int], PlainValidator(_dim_range), WithJsonSchema(_DIM_RANGE)]
"""Smallest and largest value of a dim."""
