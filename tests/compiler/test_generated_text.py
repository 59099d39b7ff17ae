"""The text of an extractor stands alone, and is the same each time."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from tests.compiler.split import entered, observe
from tests.compiler.toy_runs import assert_same, extractor_of, runs, toys_that
from tests.toys.shelf import GOOD
from tests.toys.toy import Toy

ROOT = Path(__file__).parents[2]


# No import reaches the names of the function around the class of the one left out.
@toys_that(lambda toy: toy.build.__name__ != "Closed")
def test_the_text_stands_alone(toy: Toy, tmp_path: Path) -> None:
    extractor = extractor_of(toy)
    file = tmp_path / f"extractor_of_{toy.build.__name__}.py"
    file.write_text(extractor.source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    imported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(imported)
    for run in runs(toy):
        assert_same(observe(run.make(), run.call, entered(imported.extractor)), run.expected)


_DIGEST = """
import hashlib, sys
from teaspec.compiler.pipeline import compile_spec, load_spec
from teaspec.compiler.report import SpecError
from tests.toys.shelf import GOOD
for toy in GOOD:
    try:
        text = compile_spec(load_spec(toy.spec), toy.module()).source
    except SpecError as error:
        text = str(error)
    print(toy.name, hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_text_in_a_process_with_another_hash_seed() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _DIGEST], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    for toy, line in zip(GOOD, done.stdout.splitlines(), strict=True):
        if not toy.may_refuse:
            assert line == f"{toy.name} {hashlib.sha256(extractor_of(toy).source.encode()).hexdigest()}"
