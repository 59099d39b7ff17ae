"""The table of docs/runtime.md that says which test proves what: each test that it names is there, and runs.

A line without a test says that there cannot be one, and why.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "runtime.md"
HOMES = (ROOT / "tests" / "runtime", ROOT)
"""Where the files are that the table names, by their path from one of these."""


def rows(text: str) -> list[tuple[str, str]]:
    """Capability and test of each line of the table."""
    section = re.search(r"^## What is proven$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    assert lines[:2] == ["| capability | test |", "| --- | --- |"]
    cells = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in lines[2:]]
    assert all(len(row) == 2 for row in cells)
    return [(capability.strip(), test.strip()) for capability, test in cells]


def named(test: str) -> Iterator[tuple[str, str | None]]:
    """File and function of each test that a line names; a function without a file is in the file named before it."""
    file = None
    for word in re.findall(r"`([^`]*)`", test):
        found = re.fullmatch(r"(?:((?:\w+/)*test_\w+\.py)(?:::)?)?(test_\w+)?", word)
        if found is None:
            continue  # something else in code letters
        file = found[1] or file
        assert file is not None, f"{word} without a file"
        yield file, found[2]


def missing(file: str, function: str | None, *, may_be_thorough: bool = False) -> str | None:
    """What is wrong with a test that is named, or None."""
    path = next((home / file for home in HOMES if (home / file).is_file()), None)
    if path is None:
        return f"there is no {file}"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    if function is not None and function not in functions:
        return f"{file} has no {function}"
    marks = () if function is None or may_be_thorough else functions[function].decorator_list
    if any("thorough" in ast.unparse(mark) and "parametrize" not in ast.unparse(mark) for mark in marks):
        return f"{file}::{function} is left out of the normal run"
    return None


def test_each_line_names_tests_that_are_there() -> None:
    table = rows(PAGE.read_text(encoding="utf-8"))
    assert len(table) > 40
    wrong = []
    for capability, test in table:
        tests = list(named(test))
        if not tests and "cannot" not in test:
            wrong.append(f"{capability}: names no test")
        problems = (missing(*one, may_be_thorough="thorough" in test) for one in tests)
        wrong += [f"{capability}: {problem}" for problem in problems if problem is not None]
    assert wrong == []


def test_what_the_table_may_name() -> None:
    line = "| a `b` | `test_x.py::test_a`, `test_b` (`cpu`) |"
    text = f"## What is proven\n\n| capability | test |\n| --- | --- |\n{line}\n\n## Next\n"
    assert rows(text) == [("a `b`", "`test_x.py::test_a`, `test_b` (`cpu`)")]
    assert list(named(line)) == [("test_x.py", "test_a"), ("test_x.py", "test_b")]
    assert list(named("`test_x.py`")) == [("test_x.py", None)]
    assert missing("test_nowhere.py", None) == "there is no test_nowhere.py"
    assert missing("test_proven.py", "test_nothing") == "test_proven.py has no test_nothing"
    assert missing("test_proven.py", "test_what_the_table_may_name") is None
    left_out = "test_all_steps_computed_equal_the_compiled_transformer_without_teacache"
    assert missing("test_composition_compile.py", left_out) is not None
