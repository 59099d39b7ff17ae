"""Comparisons that several tests look at, each made once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from teaspec.cli import app

PROMPTS = ("a lighthouse", "two owls")
SEEDS = (0, 3)
STEPS = 6


@dataclass(frozen=True)
class Made:
    """What a command has made.

    Attributes:
        loader: Which pipeline.
        found: The JSON.
        page: The file of the page.
        sheet: The file of the sheet.
    """

    loader: str
    found: dict[str, Any]
    page: Path
    sheet: Path


def run_compare(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.fixture(scope="package")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompts") / "prompts.txt"
    path.write_text("# things\n\n" + "\n".join(PROMPTS) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="package")
def made(prompts: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Compares a budget of two, one of four and a threshold on the pipeline of a loader."""

    @cache
    def make(loader: str, threshold: float) -> Made:
        folder = tmp_path_factory.mktemp(loader)
        done = run_compare(
            *(f"tests.compare.loaders:{loader}", prompts, "--budget", "2,4", "--threshold", threshold),
            *("--steps", STEPS, "--seeds", ",".join(map(str, SEEDS)), "--format", "json"),
            *("--enough", 99),  # so that another setting than the first is the one to copy
            *("--html", folder / "page.html", "--sheet", folder / "sheet.png"),
        )
        assert done.exit_code == 0, done.output
        return Made(loader, json.loads(done.stdout), folder / "page.html", folder / "sheet.png")

    return make
