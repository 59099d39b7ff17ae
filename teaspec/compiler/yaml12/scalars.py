"""What a plain scalar means in the core schema of YAML 1.2."""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NOT_A_NUMBER = frozenset({".nan", ".NaN", ".NAN"})
_LARGEST = 2**63 - 1


class NumberOutOfRangeError(ValueError):
    """A number was written that does not fit into 64 bits."""


def resolve(text: str) -> Scalar:
    """Gives the value of a plain scalar.

    `yes`, `on` and `1:30` are texts, `012` is twelve, `1e3` is a float: unlike in YAML 1.1.

    Args:
        text: The scalar as written, without quotes.

    Returns:
        Its value.

    Raises:
        NumberOutOfRangeError: It is an integer beyond 64 bits or a float beyond the largest double.
    """
    if text in _NULL:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    for pattern, base in ((_DECIMAL, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            return _in_range(int(text if base == 10 else text[2:], base))
    if _FLOAT.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise NumberOutOfRangeError
        return value
    if _INFINITE.fullmatch(text):
        return -math.inf if text[0] == "-" else math.inf
    return math.nan if text in _NOT_A_NUMBER else text


def _in_range(value: int) -> int:
    if abs(value) > _LARGEST:
        raise NumberOutOfRangeError
    return value
