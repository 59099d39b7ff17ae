"""Which calls run past the cache."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from teaspec.runtime.contract.bypass import Bypass

CACHES = [SimpleNamespace(mode="write")]


@pytest.mark.parametrize(
    ("rule", "passed", "expected"),
    [
        ("cache", None, False),
        ("cache", [], True),
        ("cache", False, True),
        ("mode = extract", None, False),
        ("mode = extract", "cached", False),
        ("mode=extract", "extract", True),
        ("flag = True", True, True),
        ("flag = True", False, False),
        ("caches.0.mode = write", None, False),
        ("caches.0.mode = write", CACHES, True),
        ("caches.0.mode = read", CACHES, False),
        ("caches.0.mode", CACHES, True),
        ("caches.0.mode", [SimpleNamespace(mode=None)], False),
        ("caches.0.mode = write", [None], False),
        ("caches.0.mode = write", [], True),
        ("caches.0.mode = write", [3], True),
        ("caches.0.mode = write", 3, True),
    ],
)
def test_a_rule(rule: str, passed: Any, expected: bool) -> None:
    assert Bypass.parse(rule).holds_for(passed) is expected


def test_the_argument_of_a_rule() -> None:
    assert [Bypass.parse(rule).argument for rule in ("a", "b.c.0", "d = e", "f.0 = g")] == ["a", "b", "d", "f"]


@pytest.mark.parametrize(
    ("text", "value", "other"),
    [
        ("true", True, False),
        ("True", True, False),
        ("false", False, True),
        ("2", 2, 3),
        ("2", 2.0, 2.5),
        ("0.50", 0.5, 5),
        ("true", 1, 0),
        ("false", 0.0, 2),
    ],
)
def test_values_are_written_as_in_yaml(text: str, value: Any, other: Any) -> None:
    rule = Bypass.parse(f"flag = {text}")
    assert rule.holds_for(value)
    assert not rule.holds_for(other)
    # A text is neither true nor false, but a branch of the forward takes it for one of them.
    assert rule.holds_for(str(value) + "x") is (text.lower() in {"true", "false"})
