"""The project with one rule taken out: a copy, edited, in which tests must then fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("teaspec", "specs", "tests", "pyproject.toml")
FAILED = 1
"""What pytest exits with where tests ran and some failed; an error of the copy itself has another number."""


@dataclass(frozen=True)
class Mutant:
    """A rule taken out of the source.

    Attributes:
        test: The test that holds the rule, from the project's root.
        edits: Files, from the project's root; in each an `old` text that stands in it once, and the `new` one.
    """

    test: str
    edits: tuple[dict[str, str], ...]


def read_mutants(file: Path) -> dict[str, Mutant]:
    """Returns the mutants that a YAML file describes, by rule."""
    described = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {rule: Mutant(one["test"], tuple(one["edits"])) for rule, one in described.items()}


def run_mutant(mutant: Mutant, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a mutant's test on an edited copy of the project.

    Args:
        mutant: What is edited.
        folder: Where the copy goes.

    Raises:
        AssertionError: If a text that is to be edited stands there not once.
    """
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "bad_specs"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for edit in mutant.edits:
        path = folder / edit["file"]
        text = path.read_text(encoding="utf-8")
        assert text.count(edit["old"]) == 1, f"{edit['file']} holds this {text.count(edit['old'])} times: {edit['old']}"
        path.write_text(text.replace(edit["old"], edit["new"]), encoding="utf-8")
    # The copy comes first on the path, before whatever is installed.
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.test]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
