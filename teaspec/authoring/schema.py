"""The JSON Schema of a spec, with which editors complete keys, explain them and mark what is wrong.

It accepts every spec that the compiler accepts. What can only be said with two places of a spec in sight (that a dim
exists, that a name is given once) is left to `teaspec check`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from teaspec.authoring.meanings import MEANINGS
from teaspec.compiler.forms.names import NAME
from teaspec.compiler.forms.probe import MAX_CASES, MAX_DIMS, MAX_INPUTS
from teaspec.compiler.forms.spec import MAX_PLANS, MAX_VARIANTS, Spec
from teaspec.compiler.forms.values import KINDS, Absent

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE = "schema.json"
"""What the schema is called beside the specs."""

Schema = dict[str, Any]

_VALUE: Schema = {"$ref": "#/$defs/Value"}
_CASE_VALUE: Schema = {"anyOf": [_VALUE, {"$ref": f"#/$defs/{Absent.__name__}"}]}
_SHORT_FORMS: list[Schema] = [
    {"$ref": "#/$defs/Tensor/properties/tensor", "description": "short for `{tensor: [SIZE, ...]}`"},
    {"type": ["string", "number", "boolean", "null"], "description": "a plain value, short for `{literal: ...}`"},
]
_BOUNDS: dict[tuple[str, str], Schema] = {
    ("Blocks", "loops"): {"minItems": 1, "uniqueItems": True},
    ("Blocks", "carried"): {"minItems": 1, "uniqueItems": True},
    ("Spec", "bypass"): {"uniqueItems": True},
    ("Spec", "varying"): {"minItems": 1, "uniqueItems": True},
    ("Spec", "aliases"): {"uniqueItems": True},
    ("TeaCacheFacts", "match"): {"minProperties": 1},
    ("Variant", "match"): {"minProperties": 1},
    ("TeaCacheFacts", "variants"): {"maxProperties": MAX_VARIANTS},
    **{(form, "plans"): {"maxItems": MAX_PLANS} for form in ("TeaCacheFacts", "Variant")},
    ("Plan", "computed"): {"minItems": 1, "uniqueItems": True},
    ("Probe", "cases"): {"maxItems": MAX_CASES},
    **{(form, "dims"): {"maxProperties": MAX_DIMS} for form in ("Probe", "Case")},
    **{(form, "inputs"): {"maxProperties": MAX_INPUTS} for form in ("Probe", "Case")},
    ("Mask", "mask"): {"minItems": 1},
    ("Concat", "concat"): {"minItems": 1},
    ("Choice", "choice"): {"minItems": 1},
}
"""What the rules of the compiler ask for and the forms do not."""


def make_schema() -> Schema:
    """Makes the schema, in the dialect of draft 2020-12, with a description of every key."""
    forms = Spec.model_json_schema(by_alias=True)
    definitions: Schema = forms.pop("$defs")
    del definitions["Input"]  # a value, with the mark of its name split off
    values = [{"$ref": f"#/$defs/{form.__name__}"} for form in KINDS.values() if form is not Absent]
    definitions["Value"] = {"description": "What is passed for an argument.", "anyOf": [*_SHORT_FORMS, *values]}
    for name in ("Probe", "Case"):
        inputs = _CASE_VALUE if name == "Case" else _VALUE
        names = {"pattern": rf"^{NAME}\??$"}
        definitions[name]["properties"]["inputs"] = {
            "type": "object",
            "propertyNames": names,
            "additionalProperties": inputs,
        }
    for name in ("TeaCacheFacts", "Variant"):
        definitions[name]["dependentRequired"] = {"coefficients": ["source"]}
    described = {name: _described(name, definitions[name]) for name in sorted(definitions)}
    top = _described("Spec", forms)
    top["description"] = (
        "Four landmarks in the source of a model's forward, published facts, and a probe for the check."
    )
    return {"$schema": DIALECT, "title": "teaspec spec, version 1", **top, "$defs": described}


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"


def modeline(folder: Path | None) -> str:
    """The first line of a spec, which tells editors where its schema is.

    Args:
        folder: Where the spec lies. A schema beside it is named as such; else it is the one that is installed with
            teaspec.
    """
    from teaspec.catalog import shipped_folder

    beside = folder is not None and (folder / FILE).is_file()
    place = FILE if beside else (shipped_folder() / FILE).absolute().as_uri()
    return f"# yaml-language-server: $schema={place}"


def _described(name: str, form: Schema) -> Schema:
    """A form without pydantic's titles, and with our descriptions of its keys."""
    plain: Schema = _plain(form)
    plain["description"] = str(plain.get("description", "")).partition("\n\n")[0]
    for key, meaning in MEANINGS.get(name, {}).items():
        told = plain["properties"][key]
        if not isinstance(told.get("default"), str | int):
            told.pop("default", None)  # editors write a default out, and an empty or composed one helps nobody
        plain["properties"][key] = {"description": meaning, **told, **_BOUNDS.get((name, key), {})}
    return plain


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "oneOf" in schema:  # the forms have one union, of all kinds of values
        return _VALUE
    plain = {key: _plain(item) for key, item in schema.items() if not (key == "title" and isinstance(item, str))}
    patterns = plain.pop("patternProperties", None)
    if patterns:  # other names would be accepted unseen
        ((pattern, item),) = patterns.items()
        plain |= {"propertyNames": {"pattern": pattern}, "additionalProperties": item}
    return plain
