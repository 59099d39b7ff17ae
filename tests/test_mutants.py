"""The texts that mutants take out stand in their files: the mutants themselves are run with the thorough tests."""

from __future__ import annotations

import pytest

from tests.mutants import ROOT, read_mutants

FILES = ("tests/proof/mutants.yaml", "tests/runtime/mutants.yaml")
MUTANTS = [(rule, mutant) for file in FILES for rule, mutant in read_mutants(ROOT / file).items()]


@pytest.mark.parametrize(("rule", "mutant"), MUTANTS, ids=[rule for rule, _ in MUTANTS])
def test_what_is_taken_out_is_there(rule, mutant):
    """Red where a file was moved, or a rule rewritten, and its mutant forgotten."""
    for edit in mutant.edits:
        assert (ROOT / edit["file"]).read_text(encoding="utf-8").count(edit["old"]) == 1, (rule, edit["file"])
    path, _, test = mutant.test.partition("::")
    assert f"def {test.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")
