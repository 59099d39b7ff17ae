"""What `make drift` prints, from reports that were not made for it."""

from __future__ import annotations

from tools.drift import Outcome, compare, outcomes


def entry(name, codes=(), error=None, properties=None):
    report = None if properties is None else {"properties": properties}
    passed = report is not None and all(item["passed"] for item in properties)
    diagnostics = [{"code": code} for code in codes]
    return {
        "spec": f"specs/{name}.yaml",
        "passed": passed,
        "error": error,
        "diagnostics": diagnostics,
        "report": report,
    }


HELD = {"name": "forward", "passed": True, "message": ""}
BROKEN = {"name": "exact", "passed": False, "message": "it differs\nby 1"}


def test_every_outcome_has_a_word():
    specs = [
        entry("good", properties=[HELD]),
        entry("bad", properties=[HELD, BROKEN]),
        entry("moved", codes=["unknown-head", "unknown-embed"]),
        entry("unborn", codes=["unknown-model"]),
        entry("odd", error="the probe cannot be built"),
    ]
    assert outcomes({"specs": specs}) == {
        "good": "passes",
        "bad": "fails: exact (it differs)",
        "moved": "refused: unknown-head, unknown-embed",
        "unborn": "absent",
        "odd": "fails: the probe cannot be built",
    }


def test_only_what_moved_is_told():
    here = Outcome("1", {"a": "passes", "b": "passes", "c": "absent"}, frozenset({"A", "B"}))
    there = Outcome("2", {"a": "passes", "b": "refused: unknown-head", "c": "passes"}, frozenset({"B", "C"}))
    assert compare(here, there) == [
        "b: refused: unknown-head (pinned: passes)",
        "c: passes (pinned: absent)",
        "new class: C",
        "class gone: A",
    ]
    assert compare(here, here) == ["nothing moved"]
