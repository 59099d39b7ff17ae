"""What pydantic found, in our own words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from teaspec.compiler.forms.document import Document, Path
from teaspec.compiler.forms.frozen import SYNTHETIC, Form, describe
from teaspec.compiler.forms.probe import Case, Probe
from teaspec.compiler.forms.spec import Blocks, Spec, Streams, TeaCacheFacts, Threshold, Variant
from teaspec.compiler.forms.values import KINDS
from teaspec.compiler.report import CODES, did_you_mean
from teaspec.compiler.rules.finding import Finding
from teaspec.compiler.rules.locations import locate_in

# The form that a mapping is checked against, by its path; a star stands for any one step.
_FORMS: Mapping[tuple[str, ...], type[Form]] = {
    (): Spec,
    ("blocks",): Blocks,
    ("streams",): Streams,
    ("teacache",): TeaCacheFacts,
    ("teacache", "thresholds", "*"): Threshold,
    ("teacache", "variants", "*"): Variant,
    ("teacache", "variants", "*", "thresholds", "*"): Threshold,
    ("probe",): Probe,
    ("probe", "cases", "*"): Case,
}

_EXPECTED = {
    "string_type": "a text",
    "float_type": "a number",
    "int_type": "an integer",
    "bool_type": "`true` or `false`",
    "model_type": "a mapping",
    "mapping_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
}


def find_structural_mistakes(error: ValidationError, document: Document) -> Iterator[Finding]:
    """Turns pydantic's errors into findings.

    Args:
        error: What validating the document's data raised.
        document: What was validated, with the place of everything in it.

    Yields:
        One finding per mistake: a misspelt key is not reported as missing, too, and keys that are missing from the same
        mapping are reported together.
    """
    missing: dict[Path, list[str]] = defaultdict(list)
    for details in error.errors(include_url=False):
        if details["type"] == "missing":
            missing[details["loc"][:-1]].append(str(details["loc"][-1]))
    for details in error.errors(include_url=False):
        path, kind = details["loc"], details["type"]
        if kind == "missing":
            continue
        if kind == "extra_forbidden":
            finding, meant = _unknown_key(path, document)
            if meant in missing[path[:-1]]:
                missing[path[:-1]].remove(meant)
            yield finding
        else:
            yield _translate(details)
    for path, keys in missing.items():
        if keys:
            yield _missing_keys(path, keys)


def _unknown_key(path: Path, document: Document) -> tuple[Finding, str]:
    """Returns the finding and the key that was probably meant, or an empty text."""
    key, known = str(path[-1]), _known_keys(path[:-1])
    holder: Any = document.data
    for step in locate_in(document, path[:-1]).path:
        holder = holder[step]
    help_lines = did_you_mean(key, [candidate for candidate in known if candidate not in holder])
    meant = help_lines[0].split("`")[1] if help_lines else ""
    if not help_lines:
        help_lines = ("known keys here: " + ", ".join(f"`{candidate}`" for candidate in known),)
    return Finding(path, "unknown-key", f"unknown key `{key}`", "this key", help_lines, at_key=True), meant


def _missing_keys(path: Path, keys: list[str]) -> Finding:
    names = [f"`{key}`" for key in keys]
    listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    message = f"the key{'s' if len(names) > 1 else ''} {listed} {'are' if len(names) > 1 else 'is'} missing"
    return Finding(path, "missing-key", message, "in this mapping", at_key=True)


def _known_keys(path: Path) -> list[str]:
    last = str(path[-1]) if path else ""
    if last.startswith(SYNTHETIC):
        form = KINDS[last.removeprefix(SYNTHETIC)]
    else:
        form = next(form for pattern, form in _FORMS.items() if _matches(pattern, path))
    return [field.alias or name for name, field in form.model_fields.items()]


def _matches(pattern: tuple[str, ...], path: Path) -> bool:
    return len(pattern) == len(path) and all(want in ("*", step) for want, step in zip(pattern, path, strict=True))


def _translate(details: ErrorDetails) -> Finding:
    path, kind, given, facts = details["loc"], details["type"], details["input"], details.get("ctx", {})
    if kind in CODES:
        return Finding(path, kind, facts["message"], help=tuple(facts["help"]))
    if kind in _EXPECTED:
        return _wrong_type(path, _EXPECTED[kind], given)
    return _OTHERS.get(kind, _unforeseen)(path, given, facts)


def _wrong_type(path: Path, expected: str, given: object) -> Finding:
    is_scalar = given is not None and not isinstance(given, dict | list | str)
    help_lines = ("a number or truth value in quotes is a text",) if expected == "a text" and is_scalar else ()
    return Finding(path, "wrong-type", f"expected {expected}, found {describe(given)}", help=help_lines)


def _wrong_choice(path: Path, given: object, facts: Mapping[str, Any]) -> Finding:
    options = re.findall(r"'([^']*)'", facts["expected"])
    listed = ", ".join(f"`{option}`" for option in options)
    help_lines = did_you_mean(given, options) if isinstance(given, str) else ()
    return Finding(path, "wrong-value", f"expected one of {listed}, found {describe(given)}", help=help_lines)


def _empty_text(path: Path, given: object, facts: Mapping[str, Any]) -> Finding:
    return Finding(path, "wrong-value", "expected a text, found an empty one")


def _not_finite(path: Path, given: object, facts: Mapping[str, Any]) -> Finding:
    return Finding(path, "non-finite-number", "expected a finite number")


def _too_small(path: Path, given: object, facts: Mapping[str, Any]) -> Finding:
    bound = f"above `{facts['gt']:g}`" if "gt" in facts else f"of at least `{facts['ge']}`"
    return Finding(path, "number-too-small", f"expected a number {bound}, found {describe(given)}")


def _unforeseen(path: Path, given: object, facts: Mapping[str, Any]) -> Finding:
    return Finding(path, "wrong-value", f"{describe(given)} cannot stand here")


_OTHERS: Mapping[str, Callable[[Path, object, Mapping[str, Any]], Finding]] = {
    "literal_error": _wrong_choice,
    "string_too_short": _empty_text,
    "finite_number": _not_finite,
    "greater_than": _too_small,
    "greater_than_equal": _too_small,
}
