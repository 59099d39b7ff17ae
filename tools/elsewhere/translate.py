"""A shipped spec, written for a class of another package: what that class does not take is left out, and said.

The landmarks stay as they are shipped, but for lines that are given in place of theirs. Beside these only `model`, the
arguments that are named and the probe are about the class.
"""

from __future__ import annotations

import inspect
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from torch import nn

Plain = dict[str, Any]

_CONFIG = "od_config"
"""The argument of vLLM-Omni's constructors that holds all that stands in a checkpoint's `config.json`."""

_NAME = re.compile(r"\w+")


@dataclass(frozen=True)
class Translation:
    """A spec for another class.

    Attributes:
        text: The spec.
        left_out: What the class has no place for, in words.
        changed: The lines, and the parts of the probe, that were replaced.
    """

    text: str
    left_out: tuple[str, ...]
    changed: tuple[str, ...]


def translate(
    path: Path,
    model: str,
    cls: type[nn.Module],
    probe: Mapping[str, Any] | None = None,
    lines: Mapping[str, Any] | None = None,
) -> Translation:
    """Writes a shipped spec for another class.

    Args:
        path: The shipped spec.
        model: The import path of the class.
        cls: The class.
        probe: Parts of the probe in place of the shipped ones: whole mappings of `config`, `dims` and `inputs` are
            merged key by key (null removes one), everything else replaces.
        lines: Landmarks in place of the shipped ones, where the class calls something otherwise.

    Returns:
        The spec for it.
    """
    spec: Plain = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    spec |= {**(lines or {}), "model": model}
    spec.pop("aliases", None)
    _merge(spec["probe"], probe or {})
    left_out: list[str] = []
    takes = _taken(cls.forward)
    for part, key in ((spec, "varying"), (spec, "bypass"), (spec["blocks"], "carried")):
        part[key] = [name for name in part.get(key, ()) if takes(_NAME.findall(name)[0])]
        if not part[key]:
            del part[key]
    # What checkpoints are told apart by is the config of diffusers' class; the base set alone is used elsewhere.
    for key in ("match", "variants"):
        spec.get("teacache", {}).pop(key, None)
    spec["probe"] = _fitted(spec["probe"], cls, left_out)
    stream = io.StringIO()
    YAML(typ="safe").dump(spec, stream)
    return Translation(stream.getvalue(), tuple(dict.fromkeys(left_out)), (*(lines or ()), *(probe or ())))


def _merge(probe: Plain, changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if not isinstance(value, Mapping):
            probe[key] = value
            continue
        merged = {**probe.get(key, {}), **value}
        probe[key] = {name: item for name, item in merged.items() if item is not None}


def _fitted(probe: Plain, cls: type[nn.Module], left_out: list[str]) -> Plain:
    fitted = {key: value for key, value in probe.items() if key != "cases"}
    _leave_out(fitted, cls, left_out)
    cases = []
    for number, case in enumerate(probe.get("cases", ()), start=1):
        lost: list[str] = []
        own = dict(case)
        takes = _taken(cls.forward)
        given = {
            name: value
            for name, value in own.get("inputs", {}).items()
            if takes(name.removesuffix("?")) or not _is_optional(name, value)
        }
        own["inputs"] = given
        _leave_out(own, cls, lost)
        # A spec makes nothing but what the module of the class brings along.
        brought = vars(sys.modules[cls.__module__])
        lost += [f"`{name}`" for name, value in own["inputs"].items() if not brought.keys() >= {*_made(value)}]
        if lost:
            left_out.append(f"case {number} ({', '.join(lost)})")
        else:
            cases.append(own)
    if cases:
        fitted["cases"] = cases
    return fitted


def _leave_out(probe: Plain, cls: type[nn.Module], left_out: list[str]) -> None:
    for key, function in (("config", cls.__init__), ("inputs", cls.forward), ("untried", cls.forward)):
        if key == "config" and _CONFIG in inspect.signature(function).parameters:
            continue
        takes = _taken(function, hands_on=key == "config")
        values: Plain = probe.get(key, {})
        absent = [name for name in values if not takes(name.removesuffix("?"))]
        if absent:
            probe[key] = {name: value for name, value in values.items() if name not in absent}
        if key != "untried":
            left_out += [f"`{name.removesuffix('?')}`" for name in absent]


def _made(value: object) -> Iterator[str]:
    """The classes of the objects that a value is made of."""
    if isinstance(value, Mapping) and "object" in value:
        yield value["object"]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _made(part)


def _is_optional(name: str, value: object) -> bool:
    return name.endswith("?") or value == {"absent": True}


def _taken(function: Callable[..., Any], *, hands_on: bool = False) -> Callable[[str], bool]:
    """Whether a function has a place for an argument of a name.

    What it takes among `**kwargs` it ignores, unless it hands everything on, as constructors of subclasses do, and
    wrappers (`*args, **kwargs`).
    """
    parameters = inspect.signature(function).parameters.values()
    kinds = {parameter.kind for parameter in parameters}
    if inspect.Parameter.VAR_KEYWORD in kinds and (hands_on or inspect.Parameter.VAR_POSITIONAL in kinds):
        return lambda _name: True
    names = {parameter.name for parameter in parameters}
    return names.__contains__
