"""How a spec tells the checkpoints of one class apart: by what the model's config says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from teaspec.compiler.forms.frozen import describe
from teaspec.compiler.forms.mistake import mistake
from teaspec.compiler.forms.names import Identifier

Plain: TypeAlias = str | int | float | bool | None
"""What a config may hold and a spec can ask for."""

MAX_ALTERNATIVES = 16


def _alternatives(raw: object) -> tuple[Plain, ...]:
    if isinstance(raw, list | tuple) and not raw:
        raise mistake("empty-list", "expected at least one value, found an empty list")
    items = tuple(raw) if isinstance(raw, list | tuple) else (raw,)
    if len(items) > MAX_ALTERNATIVES:
        raise mistake("wrong-length", f"expected at most {MAX_ALTERNATIVES} values, found {len(items)}")
    for item in items:
        if not isinstance(item, Plain):
            raise mistake("wrong-type", f"expected a plain value or a list of plain values, found {describe(item)}")
    return items


def _mapping(raw: object) -> object:
    if isinstance(raw, dict) and not raw:
        raise mistake("empty-match", "this `match` asks for nothing", "leave it out, or name a key of the config")
    return raw


_PLAIN = {"type": ["string", "number", "boolean", "null"]}
_ALTERNATIVES = {"anyOf": [_PLAIN, {"type": "array", "items": _PLAIN, "minItems": 1, "maxItems": MAX_ALTERNATIVES}]}

Alternatives = Annotated[tuple[Plain, ...], PlainValidator(_alternatives), WithJsonSchema(_ALTERNATIVES)]
"""The values that one key of the config may have; written as one value or as a list."""

Match = Annotated[Mapping[Identifier, Alternatives], BeforeValidator(_mapping)]
"""Key of the model's config to the values that it may have. A text is a pattern with `*` and `?`."""
