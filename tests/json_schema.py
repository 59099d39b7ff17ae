"""The part of JSON Schema (draft 2020-12) that the schema of a spec is written in; a keyword beyond it is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

ANNOTATIONS = {"$schema", "$defs", "title", "description", "default"}
TYPES: dict[str, Any] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    ),
}
MEASURES = {
    "minLength": (str, lambda value, bound: len(value) >= bound),
    "maxLength": (str, lambda value, bound: len(value) <= bound),
    "pattern": (str, lambda value, bound: re.search(bound, value) is not None),
    "minItems": (list, lambda value, bound: len(value) >= bound),
    "maxItems": (list, lambda value, bound: len(value) <= bound),
    "uniqueItems": (list, lambda value, bound: not bound or all(value.count(item) == 1 for item in value)),
    "maxProperties": (dict, lambda value, bound: len(value) <= bound),
    "minProperties": (dict, lambda value, bound: len(value) >= bound),
    "required": (dict, lambda value, bound: set(bound) <= value.keys()),
    "dependentRequired": (dict, lambda value, bound: all({*bound[key]} <= {*value} for key in bound if key in value)),
    "minimum": ((int, float), lambda value, bound: value >= bound),
    "maximum": ((int, float), lambda value, bound: value <= bound),
    "exclusiveMinimum": ((int, float), lambda value, bound: value > bound),
}  # fmt: skip


def errors(value: Any, schema: Any, root: dict[str, Any], at: str = "") -> Iterator[str]:
    """What a schema has against a value, each with its place in the value."""
    for keyword, wanted in schema.items():
        if keyword in ANNOTATIONS or keyword in ("properties", "additionalProperties"):
            continue
        if keyword == "$ref":
            yield from errors(value, resolve(wanted, root), root, at)
        elif keyword == "anyOf":
            if all(any(True for _ in errors(value, option, root, at)) for option in wanted):
                yield f"{at}: anyOf"
        elif keyword == "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            if not any(TYPES[kind](value) for kind in kinds):
                yield f"{at}: type {wanted}"
        elif keyword in ("const", "enum"):
            if not any(
                value == one and type(value) is type(one) for one in (wanted if keyword == "enum" else [wanted])
            ):
                yield f"{at}: {keyword} {wanted}"
        elif keyword == "items":
            for index, item in enumerate(value if isinstance(value, list) else []):
                yield from errors(item, wanted, root, f"{at}/{index}")
        elif keyword == "propertyNames":
            for name in value if isinstance(value, dict) else []:
                yield from errors(name, wanted, root, f"{at}/{name}")
        else:
            kind, holds = MEASURES[keyword]
            if isinstance(value, kind) and not isinstance(value, bool) and not holds(value, wanted):
                yield f"{at}: {keyword} {wanted}"
    yield from _properties(value, schema, root, at)


def _properties(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> Iterator[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name, item in value.items() if isinstance(value, dict) else ():
        if name in known:
            yield from errors(item, known[name], root, f"{at}/{name}")
        elif others is False:
            yield f"{at}/{name}: unknown"
        else:
            yield from errors(item, others, root, f"{at}/{name}")


def resolve(pointer: str, root: dict[str, Any]) -> Any:
    """What a reference within the schema points at."""
    first, *steps = pointer.split("/")
    assert first == "#"
    found: Any = root
    for step in steps:
        found = found[step]
    return found
