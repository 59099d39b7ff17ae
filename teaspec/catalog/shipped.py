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


def register_shipped_specs() -> None:
    """Register an extractor for every shipped spec, under its class name and its aliases."""
    for path in shipped_specs():
        text = path.read_text(encoding="utf-8")
        model = _MODEL.search(text)
        if model is None:
            continue
        names = [model[1].replace(":", ".").rpartition(".")[2]]
        for aliases in _ALIASES.finditer(text):
            names += _NAME.findall(_COMMENT.sub("", aliases[1]))
        extractor = SpecExtractor(path)
        for name in names:
            add_extractor(name, extractor)
