"""Inputs at the default sizes of a class that are written down, not derived."""

from __future__ import annotations

from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from teaspec.compiler import load_spec
from teaspec.compiler.forms.probe import Probe

_FILE = Path(__file__).with_suffix(".yaml")
_YAML = YAML(typ="safe")


def stated_probe(path: Path) -> Probe | None:
    """A probe of the default config of a class, where one is written down.

    Args:
        path: The spec of the class.

    Raises:
        SpecError: What is written down is no probe.
    """
    stated = _stated().get(path.stem)
    if stated is None:
        return None
    data = _YAML.load(path)
    data["probe"] = {**stated, "dims": {**data["probe"]["dims"], **stated.get("dims", {})}}
    text = StringIO()
    _YAML.dump(data, text)
    return load_spec(text.getvalue()).probe


@cache
def _stated() -> dict[str, Any]:
    found: dict[str, Any] = _YAML.load(_FILE)
    return found
