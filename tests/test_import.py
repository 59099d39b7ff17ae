"""`import teaspec` stays cheap: it registers what is shipped and loads nothing that only some of its users need."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import teaspec

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.yaml"))
LATER = (
    "diffusers",
    "transformers",
    "torch",
    "pydantic",
    "yaml",
    "jinja2",
    "hypothesis",
    "typer",
    "rich",
    "matplotlib",
)


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """The modules that `import teaspec` imports beside those of the bare interpreter."""

    def names(statement: str) -> set[str]:
        report = run_python("-X", "importtime", "-c", statement).stderr
        return set(re.findall(r"^import time:.*\|\s*([\w.]+)$", report, re.MULTILINE))

    return names("import teaspec") - names("pass")


def test_import_is_seen(imported: set[str]) -> None:
    assert {"teaspec", "teaspec.catalog", "teaspec.runtime.calibrations.registry"} <= imported


@pytest.mark.parametrize("package", LATER)
def test_import_leaves_out(imported: set[str], package: str) -> None:
    assert not {name for name in imported if name.partition(".")[0] == package}


def test_import_leaves_out_the_compiler(imported: set[str]) -> None:
    assert not {name for name in imported if name.startswith(("teaspec.compiler", "teaspec.proof", "teaspec.demo"))}


def test_every_shipped_spec_is_registered() -> None:
    assert len(SPECS) >= 8
    models = {re.search(r"^model: \S+\.(\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[1] for path in SPECS}
    assert len(models) == len(SPECS)
    statement = (
        "import json, sys, teaspec; from teaspec.runtime.calibrations.registry import known_types;"
        "print(json.dumps([known_types(), 'yaml' in sys.modules]))"
    )
    known, parsed = json.loads(run_python("-c", statement).stdout)
    assert models <= set(known)
    assert not parsed


def test_public_names_resolve() -> None:
    assert {name for name in teaspec.__all__ if getattr(teaspec, name, None) is None} == set()
    assert set(teaspec.__all__) <= set(dir(teaspec))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = teaspec.no_such_name
