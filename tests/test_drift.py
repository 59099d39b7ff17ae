"""What `make drift` says, from reports that were not made for it."""

from __future__ import annotations

import re

import pytest

from tools.drift.outcomes import Seen, compare, outcomes
from tools.drift.page import BEGIN, END, with_table
from tools.drift.pipeline import claims


def entry(name, codes=(), error=None, properties=None, absent=None, left_out=()):
    report = None if properties is None else {"properties": properties, "left_out": left_out}
    passed = report is not None and all(item["passed"] for item in properties)
    diagnostics = [{"code": code} for code in codes]
    return {
        "spec": f"specs/{name}.yaml",
        "passed": passed,
        "absent": absent,
        "error": error,
        "diagnostics": diagnostics,
        "report": report,
    }


HELD = {"name": "exact", "passed": True, "message": ""}
BROKEN = {"name": "exact", "passed": False, "message": "it differs\nby 1"}
FORWARD = {"name": "forward", "passed": False, "message": "the model's own forward fails"}

SPECS = [
    entry("good", properties=[HELD], left_out=["input `a`", "input `b`"]),
    entry("bad", properties=[HELD, BROKEN]),
    entry("sick", properties=[FORWARD]),
    entry("moved", codes=["unknown-head", "unknown-embed-call"]),
    entry("keyless", codes=["unknown-config-key", "foreign-object"]),
    entry("mixed", codes=["unknown-config-key", "unknown-head"]),
    entry("unborn", codes=["unknown-model"], absent="since diffusers 0.41"),
    entry("misspelt", codes=["unknown-model"]),
    entry("odd", error="the probe cannot be built"),
]


def seen(version="0.40.0", specs=SPECS, classes=("A",), claims=None):
    held = {"computed steps equal uncached ones": True} if claims is None else claims
    return Seen(version, "2.13.0", "3.11.7", outcomes({"specs": specs}), frozenset(classes), held)


def test_every_outcome_has_a_word():
    """Refusals of the cut and faults of the probe are told apart; goes red where a code of the probe is a refusal."""
    assert {name: str(outcome) for name, outcome in seen().specs.items()} == {
        "good": "passes",
        "bad": "fails: exact (it differs)",
        "sick": "probe: forward (the model's own forward fails)",
        "moved": "refused: unknown-head, unknown-embed-call",
        "keyless": "probe: unknown-config-key, foreign-object",
        "mixed": "refused: unknown-config-key, unknown-head",
        "unborn": "absent: since diffusers 0.41",
        "misspelt": "refused: unknown-model",
        "odd": "probe: the probe cannot be built",
    }


def test_only_what_moved_is_told():
    here = seen("0.42.1", [entry("a", properties=[HELD]), entry("b", properties=[HELD])], "AB")
    there = seen("0.41.0", [entry("a", properties=[HELD]), entry("b", codes=["unknown-head"])], "BC")
    assert compare(here, there) == [
        "b: refused: unknown-head (pinned: passes)",
        "new class: C",
        "class gone: A",
    ]
    assert compare(here, here) == ["nothing moved"]


def test_the_page_counts_and_gives_the_reasons():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    fine = seen("0.42.1", [entry("good", properties=[HELD])])
    new = with_table(page, [seen(claims={"a": True, "b": False}), fine], "2026-11-27", "make drift")
    assert new.startswith(f"before\n{BEGIN}\n\n2026-11-27, `make drift`:\n") and new.endswith(f"\n\n{END}\nafter\n")
    assert "\nold\n" not in new
    assert "| 0.40.0 | 2.13.0 | 3.11.7 | 8 | 1 | 3 | 1 | 3 | fails: b |" in new
    assert "| 0.42.1 | 2.13.0 | 3.11.7 | 1 | 1 | 0 | 0 | 0 | all hold |" in new
    reasons = re.findall(r"^\* diffusers 0.40.0, `(\w+)`: ", new, re.MULTILINE)
    assert reasons == ["bad", "sick", "moved", "keyless", "mixed", "misspelt", "odd"]
    assert "| 0.40.0 | 1 | 2 |" in new and "| 0.42.1 | 0 | 0 |" in new
    assert "| 0 | 0 | 0 | not run |" in with_table(page, [seen(specs=[], claims={})], "", "")
    assert "Nothing: each class that a version has passes." in with_table(page, [fine], "", "")
    with pytest.raises(ValueError, match="the page has no part between"):
        with_table("nothing", [fine], "", "")


def test_the_cached_pipeline_holds_here():
    """The claims of the installed version; goes red where `as_context` takes no names, on a version up to 0.40."""
    held = claims()
    assert len(held) == 5 and all(held.values()), held
