"""Each rule of identity is needed: taken out, the test that holds it fails.

mutants.yaml has the rules, and the docstrings of their tests name them. tests/runtime/truth takes rules out under whole
stories.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import FAILED, read_mutants, run_mutant

MUTANTS = read_mutants(Path(__file__).with_name("mutants.yaml"))


@pytest.mark.thorough
@pytest.mark.parametrize("rule", MUTANTS)
def test_without_it_its_test_fails(rule: str, tmp_path: Path) -> None:
    run = run_mutant(MUTANTS[rule], tmp_path)
    assert run.returncode == FAILED, run.stdout[-3000:] + run.stderr[-3000:]
