"""The specs that come with teaspec.

Registering them reads them for their class names and nothing else: `import teaspec` stays cheap.
"""

from __future__ import annotations

import re
from pathlib import Path

from teaspec.catalog.extractor import SpecExtractor
from teaspec.runtime.calibrations.registry import add_extractor

_MODEL = re.compile(r"^model:\s*[\"']?([\w.:]+)", re.MULTILINE)
# A list in brackets, or lines of dashes with empty lines and comments between them.
_ALIASES = re.compile(r"^aliases:((?:.|\n(?=[ \t\n\]#-]))*)", re.MULTILINE)
_COMMENT = re.compile(r"#.*")
_NAME = re.compile(r"\w+")


def shipped_folder() -> Path:
    """Where the specs lie that come with teaspec: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return package / "specs" if (package / "specs").is_dir() else package.parent / "specs"


def shipped_specs() -> list[Path]:
    """The specs that come with teaspec."""
    return sorted(shipped_folder().glob("*.yaml"))


def class_names(path: Path) -> list[str]:
    """The class names that a spec is for: that of its model, and its aliases. None where it names no model.

    Reads the text alone: parsing every spec would make `import teaspec` slow.
    """
    model = model_path(path)
    if model is None:
        return []
    names = [model.replace(":", ".").rpartition(".")[2]]
    for aliases in _ALIASES.finditer(path.read_text(encoding="utf-8")):
        names += _NAME.findall(_COMMENT.sub("", aliases[1]))
    return names


def model_path(path: Path) -> str | None:
    """The import path of a spec's model, as the text has it. None where it names no model."""
    model = _MODEL.search(path.read_text(encoding="utf-8"))
    return None if model is None else model[1]


def register_shipped_specs() -> None:
    """Registers an extractor for every shipped spec, under its class name and its aliases."""
    for path in shipped_specs():
        extractor = SpecExtractor(path)
        for name in class_names(path):
            add_extractor(name, extractor)
