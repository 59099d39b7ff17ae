"""A class that the installed diffusers lacks, and another version has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from teaspec import cli
from tests.proof.small import SPEC

pytestmark = pytest.mark.usefixtures("one_interpreter")

ROOT = Path(__file__).parents[2]
GONE = SPEC.replace("tests.proof.small:SmallTransformer", "diffusers.GoneTransformer")
MISSPELT = SPEC.replace("tests.proof.small:SmallTransformer", "diffusers.GoneTransfromer")
HISTORY = {"versions": ["0.35", "0.36", "0.42"], "classes": {"GoneTransformer": {"there": "0.35-0.36"}}}


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The shipped specs are one that passes, and those that a test names; one class is of diffusers 0.35 and 0.36."""
    import teaspec.versions.history as history

    monkeypatch.setattr(history, "_load", lambda: HISTORY)
    monkeypatch.setattr("teaspec.batch.checker.installed", lambda: "0.42.1")
    monkeypatch.setattr("teaspec.compiler.passes.import_model.installed", lambda: "0.42.1")
    monkeypatch.chdir(tmp_path)

    def ship(**specs):
        paths = []
        for name, text in {"good": SPEC, **specs}.items():
            paths.append(tmp_path / f"{name}.yaml")
            paths[-1].write_text(text, encoding="utf-8")
        monkeypatch.setattr("teaspec.catalog.shipped_specs", lambda: paths)

    return ship


def run(*arguments):
    return CliRunner().invoke(cli.app, [*arguments, "--allow", "tests", "--examples", "1", "--jobs", "1"])


def test_it_is_shown_and_counted_apart(shipped):
    """Goes red where it counts as failed."""
    shipped(gone=GONE)
    result = run("check", "--all")
    assert result.stdout.splitlines() == [
        "PASS good.yaml: 10 properties hold",
        "ABSENT gone.yaml: the class is there in diffusers 0.35 to 0.36",
        "2 specs: 1 passed, 0 failed, 1 absent",
    ]
    assert (result.exit_code, result.stderr) == (0, "")
    data = json.loads(run("check", "--all", "--format", "json").stdout)
    assert data["passed"] is True
    assert [entry["absent"] for entry in data["specs"]] == [None, "in diffusers 0.35 to 0.36"]
    assert [entry["passed"] for entry in data["specs"]] == [True, False]


def test_a_misspelt_class_is_no_absent_one(shipped):
    """Goes red where any class that cannot be imported is excused."""
    shipped(misspelt=MISSPELT)
    result = run("check", "--all")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "2 specs: 1 passed, 1 failed"
    assert "unknown-model" in result.stderr


def test_who_names_it_is_told_where_it_is(shipped):
    """Nothing was proven, so this is no success."""
    shipped(gone=GONE)
    result = run("check", "gone.yaml")
    assert result.exit_code == 1
    assert "= help: diffusers 0.42.1 is installed; the class is there in diffusers 0.35 to 0.36" in result.stderr


def test_the_list_says_so(tmp_path):
    """With another version installed: what is listed needs no more than its number."""
    metadata = tmp_path / "diffusers-0.40.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: diffusers\nVersion: 0.40.0\n", encoding="utf-8")

    def listed(*options):
        code = (
            f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}];"
            "from teaspec.cli import main; sys.argv[1:] = ['list', *sys.argv[1:]]; main()"
        )
        return subprocess.run(
            [sys.executable, "-c", code, *options], capture_output=True, text=True, check=True, env={**os.environ}
        ).stdout

    rows = [line.split("\t") for line in listed("--format", "concise").splitlines()]
    absent = {row[0]: row[-1] for row in rows if row[-1].startswith("absent")}
    assert absent["Flux3Transformer2DModel"] == "absent: since diffusers 0.42"
    assert absent["QwenImage21Transformer2DModel"] == "absent: since diffusers 0.41"
    assert len(absent) == 8 and len(rows) == 74
    models = json.loads(listed("--format", "json"))["models"]
    assert {model["name"]: f"absent: {model['absent']}" for model in models if "absent" in model} == absent
