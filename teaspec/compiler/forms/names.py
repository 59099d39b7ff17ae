"""The kinds of names a spec may hold. They are looked up in source text, never evaluated."""

from __future__ import annotations

import keyword
import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

from teaspec.compiler.forms.mistake import mistake

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INDEX = re.compile(r"0|[1-9][0-9]*")


def find_fault(name: str) -> str | None:
    """Says what keeps a text from being a plain Python name.

    Args:
        name: Any text.

    Returns:
        The second half of a sentence that begins with the name, or None where nothing is wrong.
    """
    if not name:
        return "is empty"
    if not _WORD.fullmatch(name):
        odd = next((letter for letter in name if not letter.isascii()), None)
        return f"is not a Python name{'' if odd is None else f': it holds {_called(odd)}'}"
    if keyword.iskeyword(name):
        return "is a Python keyword"
    if name.startswith("__"):
        return "begins with two underscores, which Python keeps for itself"
    return None


def _called(letter: str) -> str:
    """A character by its number and name: many look like another one, or like nothing."""
    return f"U+{ord(letter):04X}, {unicodedata.name(letter, 'a character without a name')}"


def _identifier(text: str) -> str:
    fault = find_fault(text)
    if fault is not None:
        raise mistake("not-a-name", f"`{text}` {fault}")
    return text


def _dotted(text: str) -> str:
    parts = _submodule_parts(text)
    for part in parts:
        fault = find_fault(part)
        if fault is not None:
            raise mistake("not-a-name", f"`{text}` is not a dotted name: its part `{part}` {fault}")
    return text


def _norm_path(text: str) -> str:
    parts = _submodule_parts(text)
    for position, part in enumerate(parts):
        fault = find_fault(part)
        if fault is not None and not (position > 0 and _INDEX.fullmatch(part)):
            raise mistake("bad-norm-path", f"`{text}` is not a path to a norm: its part `{part}` {fault}", _NORM_HELP)
    if len(parts) < 3:
        raise mistake("bad-norm-path", f"`{text}` does not lead from a list through a block to a norm", _NORM_HELP)
    return text


_NORM_HELP = "write list.index.path, for example `transformer_blocks.0.norm1`"


def _submodule_parts(text: str) -> list[str]:
    if text.startswith("self."):
        raise mistake("not-a-name", f"`{text}` is written from the model on, without `self.`", f"write `{text[5:]}`")
    return text.split(".")


def _bypass_rule(text: str) -> str:
    path, equals, value = (part.strip() for part in text.partition("="))
    for position, part in enumerate(path.split(".")):
        fault = find_fault(part)
        if fault is None and position > 0 and part.startswith("_"):
            fault = "is private"
        if fault is not None and not (position > 0 and _INDEX.fullmatch(part)):
            raise mistake("bad-bypass", f"`{text}` is no rule for an argument: its part `{part}` {fault}", _BYPASS_HELP)
    if equals and not value:
        raise mistake("bad-bypass", f"`{text}` does not say with which value a call runs uncached", _BYPASS_HELP)
    return text


_BYPASS_HELP = "write `name`, `name = value` or `name.attribute.0 = value`"


def _import_path(text: str) -> str:
    module, colon, qualified_name = text.partition(":")
    if not colon:
        module, _, qualified_name = text.rpartition(".")
    help_line = "write `package.module.Class`, `package.module:Class` or `diffusers.Class`"
    if not module or not qualified_name:
        raise mistake("bad-import-path", f"`{text}` does not name a module and a class in it", help_line)
    for part in [*module.split("."), *qualified_name.split(".")]:
        fault = find_fault(part)
        if fault is not None:
            raise mistake("bad-import-path", f"`{text}` is not an import path: its part `{part}` {fault}", help_line)
    return text


_Text = Annotated[str, StringConstraints(strict=True)]

# The same rules, but for keywords, as the patterns of the JSON Schema.
NAME = "(?!__)[A-Za-z_][A-Za-z0-9_]*"
DOTTED = rf"(?!self\.){NAME}(\.{NAME})*"
_STEP = "(0|[1-9][0-9]*|{name})"


def _written(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


Identifier = Annotated[_Text, AfterValidator(_identifier), _written(NAME)]
"""One Python name: an argument, a local variable, a class."""

DottedName = Annotated[_Text, AfterValidator(_dotted), _written(DOTTED)]
"""A submodule without an index in its path."""

NormPath = Annotated[
    _Text, AfterValidator(_norm_path), _written(rf"(?!self\.){NAME}(\.{_STEP.format(name=NAME)}){{2,}}")
]
"""A submodule of a block: list, index, path."""

ImportPath = Annotated[_Text, AfterValidator(_import_path), _written(rf"{NAME}(\.{NAME})*[.:]{NAME}(\.{NAME})*")]
"""A class and the module that it is imported from."""

BypassRule = Annotated[
    _Text,
    AfterValidator(_bypass_rule),
    _written(rf" *{NAME}(\.{_STEP.format(name='(?!_)' + NAME)})* *(= *[^ ].*)?"),
]
"""An argument, perhaps a way from it to what it holds, and perhaps a value."""
