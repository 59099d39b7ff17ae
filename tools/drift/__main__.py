"""What moves with another diffusers: `python -m tools.drift [--examples N] [VERSION...]`, or `make drift`.

Checks all specs in this environment, and again in scratch environments that differ from it in the version of diffusers
alone: by default the oldest that pyproject.toml claims and the newest of the package index. Prints the specs whose
outcome differs, and the classes that are new or gone.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
_CHECK = "from teaspec.cli import main; main()"
_CLASSES = "from tools.models.classes import transformer_classes; print(*transformer_classes())"


@dataclass(frozen=True)
class Outcome:
    """What one environment says.

    Attributes:
        diffusers: Its version of diffusers.
        specs: Name of a spec to `passes`, `fails: ...`, `refused: ...` or `absent`.
        classes: The classes that a spec could be for.
    """

    diffusers: str
    specs: dict[str, str]
    classes: frozenset[str]


def main() -> None:
    """Runs the comparison and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="versions of diffusers; default: oldest, newest")
    parser.add_argument("--examples", type=int, default=20, help="calls drawn for each property (default 20)")
    options = parser.parse_args()
    here = _outcome(Path(sys.executable), options.examples)
    versions = options.versions or _claimed_and_newest()
    _say(f"diffusers {here.diffusers}, pinned: {_counts(here)}")
    for version in versions:
        if version == here.diffusers:
            _say(f"diffusers {version} is the pinned one")
            continue
        with tempfile.TemporaryDirectory(prefix="teaspec-drift-") as folder:
            there = _outcome(_environment(Path(folder), version), options.examples)
        _say(f"diffusers {version}: {_counts(there)}")
        for line in compare(here, there):
            _say(f"  {line}")


def compare(here: Outcome, there: Outcome) -> list[str]:
    """What differs, one line each.

    Args:
        here: The pinned environment.
        there: The other one.
    """
    lines = [
        f"{name}: {outcome} (pinned: {here.specs.get(name)})"
        for name, outcome in there.specs.items()
        if outcome != here.specs.get(name)
    ]
    lines += [f"new class: {name}" for name in sorted(there.classes - here.classes)]
    lines += [f"class gone: {name}" for name in sorted(here.classes - there.classes)]
    return lines or ["nothing moved"]


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    """The outcome of each spec, from the JSON of `teaspec check`."""
    return {Path(entry["spec"]).stem: _of_spec(entry) for entry in report["specs"]}


def _of_spec(entry: dict[str, Any]) -> str:
    codes = [diagnostic["code"] for diagnostic in entry["diagnostics"]]
    if entry["passed"]:
        return "passes"
    if "unknown-model" in codes:
        return "absent"
    if codes:
        return f"refused: {', '.join(codes)}"
    if entry["report"] is None:
        return f"fails: {entry['error']}"
    failed = [item for item in entry["report"]["properties"] if not item["passed"]]
    return f"fails: {', '.join(item['name'] for item in failed)} ({failed[0]['message'].partition(chr(10))[0]})"


def _outcome(python: Path, examples: int) -> Outcome:
    version = _output(python, "-c", "import diffusers; print(diffusers.__version__)").strip()
    report = json.loads(
        _output(python, "-c", _CHECK, "check", "--all", "--format", "json", "--examples", str(examples))
    )
    return Outcome(version, outcomes(report), frozenset(_output(python, "-c", _CLASSES).split()))


def _output(python: Path, *arguments: str) -> str:
    """Standard output; a check that fails has one, too."""
    done = subprocess.run([python, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(f"{python} ended with code {done.returncode} and said nothing")
    return done.stdout


def _environment(folder: Path, version: str) -> Path:
    """An environment like the pinned one, but for its diffusers."""
    _say(f"installing diffusers {version} into {folder}")
    constraints = folder / "constraints.txt"
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    constraints.write_text("".join(pin for pin in pins if not pin.startswith("diffusers==")), encoding="utf-8")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    others = [f"{one.name}{one.specifier}" for one in _requirements() if one.name not in ("torch", "diffusers")]
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "-c", str(constraints)]
    # torch by itself, first: it is the pinned build or nothing
    for what in (["torch"], [f"diffusers=={version}", *others], ["--no-deps", "-e", str(ROOT)]):
        subprocess.run([*pip, *what], check=True)
    return python


def _requirements() -> list[Requirement]:
    """What teaspec needs, and what its tests do."""
    found = map(Requirement, requires("teaspec") or ())
    return [
        requirement for requirement in found if not requirement.marker or requirement.marker.evaluate({"extra": "test"})
    ]


def _claimed_and_newest() -> list[str]:
    claimed = next(one for one in _requirements() if one.name == "diffusers").specifier
    listed = _output(Path(sys.executable), "-m", "pip", "index", "versions", "diffusers")
    found = re.search(r"Available versions: (.*)", listed)
    assert found is not None, listed
    versions = sorted(map(Version, found[1].split(", ")))
    oldest = next(version for version in versions if version in claimed)
    return [str(oldest), str(versions[-1])]


def _counts(outcome: Outcome) -> str:
    kinds = [text.partition(":")[0] for text in outcome.specs.values()]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(sorted(kinds)))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
