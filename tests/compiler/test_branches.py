"""branches: which `if` statements are cut in front of their block loop."""

from __future__ import annotations

import ast

import pytest

from teaspec.compiler.analysis.loops.branches import cut_branches


def cut(text):
    before = ast.parse(text)
    kept = ast.dump(before)
    after = cut_branches(before.body, lambda s: any(isinstance(n, ast.For) for n in ast.walk(s)), {}, "self")
    assert ast.dump(before) == kept
    return ast.unparse(ast.Module(after, []))


CUT = {
    "if c:\n    a = 1\n    for b in x:\n        f(b)": "if c:\n    a = 1\nif c:\n    for b in x:\n        f(b)",
    "if self.config.c == 'g' and (not d):\n    a = 1\n    for b in x:\n        f(b)\nelse:\n    a = 2": (
        "if self.config.c == 'g' and (not d):\n    a = 1\nif self.config.c == 'g' and (not d):\n    for b in x:\n"
        "        f(b)\nelse:\n    a = 2"
    ),
    "if c:\n    for b in x:\n        f(b)\nelse:\n    a = 2\n    for b in y:\n        f(b)\n    e = 1": (
        "if not c:\n    a = 2\nif c:\n    for b in x:\n        f(b)\nelse:\n    for b in y:\n        f(b)\n    e = 1"
    ),
    "if c:\n    if d:\n        a = 1\n        for b in x:\n            f(b)": (
        "if c:\n    if d:\n        a = 1\nif c:\n    if d:\n        for b in x:\n            f(b)"
    ),
}


@pytest.mark.parametrize("text", CUT)
def test_what_stands_in_front_of_a_loop_gets_an_if_of_its_own(text):
    assert cut(text) == CUT[text]


LOOP = "    for b in x:\n        f(b)"
KEPT = [
    f"if c:\n{LOOP}",
    "if c:\n    a = 1",
    f"if c:\n{LOOP}\n    a = 1",
    f"if c:\n    c = 1\n{LOOP}",
    f"if c.d:\n    a, c = (1, 2)\n{LOOP}",
    f"if self.c:\n    self.c = False\n{LOOP}",
    f"if c:\n    d.append(1)\n{LOOP}",
    f"if d():\n    a = 1\n{LOOP}",
    f"if d[0]:\n    a = 1\n{LOOP}",
    f"if (c := d):\n    a = 1\n{LOOP}",
    f"for i in j:\n    if c:\n        a = 1\n{LOOP.replace('    ', '        ', 1).replace(chr(10), chr(10) + '    ')}",
]


@pytest.mark.parametrize("text", KEPT)
def test_an_if_stays_whole_where_nothing_stands_there_or_asking_twice_is_not_safe(text):
    assert cut(text) == text
