"""docs/adding-a-model.md as a reader follows it: its files are written, its commands run, and their output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "adding-a-model.md"
FENCE = re.compile(r"^```(\w*)(?: title=\"([\w.]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "== end of command =="


class Shell:
    """One shell for the whole page: what a command exports, the next one has."""

    def __init__(self, folder: Path) -> None:
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "120",
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> tuple[str, int]:
        """The output of a command, errors included, and its exit code."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{command}\nprintf '{MARK} %d\\n' $?\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith(MARK):
                return "".join(lines), int(line.removeprefix(MARK))
            lines.append(line)
        raise EOFError(f"the shell ended: {''.join(lines)}")

    def close(self) -> None:
        self._process.communicate()


def commands(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with the output that is shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def fits(shown: str, found: str) -> bool:
    """Whether an output is the shown one, in which `...` stands for anything, on a line of its own for any lines."""
    pattern = ""
    for line in shown.splitlines():
        pattern += "(?:.*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + "\n"
    return re.fullmatch(pattern, found) is not None


@pytest.mark.parametrize(
    ("shown", "found", "expected"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\nc\n", False),
        ("a\n", "a\nb\n", False),
        ("a...\n", "abc\n", True),
        ("a...\n", "abc\nd\n", False),
        ("a...c\n...\nd\n", "abbc\nx\ny\nd\n", True),
        ("a...\n...\nd\n", "ab\nx\nd\n", True),
        ("a\n...\n", "a\nb\nc\n", True),
        ("...\nd\n", "a\nd\n", True),
        ("...\nd\n", "a\ne\n", False),
        ("", "", True),
        ("", "a\n", False),
    ],
)
def test_the_comparison_of_outputs(shown: str, found: str, expected: bool) -> None:
    assert fits(shown, found) is expected


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    shell, done = Shell(tmp_path), 0
    try:
        for language, title, content in FENCE.findall(PAGE.read_text(encoding="utf-8")):
            if title:
                (tmp_path / title).write_text(content, encoding="utf-8")
                continue
            assert language == "console", f"nobody runs this block: {content}"
            for command, shown in commands(content):
                found, code = shell.run(command)
                assert fits(shown, found), f"$ {command}\n{found}"
                assert code == ("error[" in shown), f"$ {command}\n{found}"
                done += 1
    finally:
        shell.close()
    assert done >= 6
