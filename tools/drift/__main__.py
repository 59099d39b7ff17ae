"""What moves with another diffusers: `python -m tools.drift [--examples N] [VERSION...]`, or `make drift`.

Checks all specs with each supported minor version of diffusers, proves a cached pipeline there, and writes the table
of docs/drift.md; with versions named, or `--here` for the environment that it runs in, it only prints. The
environments differ in the version of diffusers alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from tools.drift.environments import ROOT, install, minor_versions, run
from tools.drift.outcomes import ABSENT, PASSES, Seen, compare, outcomes
from tools.drift.page import with_table

PAGE = ROOT / "docs" / "drift.md"

_CHECK = "from teaspec.cli import main; main()"
_FACTS = (
    "import json, platform, diffusers, torch; from tools.models.classes import transformer_classes;"
    "print(json.dumps([diffusers.__version__, torch.__version__, platform.python_version(), [*transformer_classes()]]))"
)


def main() -> None:
    """Looks into each environment, says what moved, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="versions of diffusers; default: of each minor")
    parser.add_argument("--here", action="store_true", help="look into this environment alone, as it is")
    parser.add_argument("--examples", type=int, default=20, help="calls drawn for each property (default 20)")
    parser.add_argument("--folder", type=Path, help="keep the installed versions and what was seen there, and go on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="teaspec-drift-") as scratch:
        folder: Path = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        versions = [None] if options.here else options.versions or minor_versions()
        seen = [look(version, folder, options.examples) for version in versions]
    newest = seen[-1]
    for one in seen:
        _say(f"diffusers {one.diffusers}: {one.count(PASSES)} of {len(one.specs) - one.count(ABSENT)} pass")
        for line in compare(newest, one) if one is not newest else ():
            _say(f"  {line}")
    if not (options.here or options.versions):  # the page shows all versions or none
        today = datetime.now(timezone.utc).strftime("%Y-%m-%d")
        command = f"python -m tools.drift --examples {options.examples}"
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), seen, today, command), encoding="utf-8")


def look(version: str | None, folder: Path, examples: int) -> Seen:
    """Checks all specs with a version of diffusers.

    Args:
        version: The version; None for the one that is here.
        folder: Where versions are installed, and the report of each is kept, so that a run of the same commit that was
            interrupted goes on.
        examples: Calls drawn for each property.
    """
    target = None if version is None else install(version, folder)
    diffusers, torch, python, classes = json.loads(run(target, "-c", _FACTS).splitlines()[-1])
    kept = folder / f"{_commit()}-{diffusers}-{torch}-{python}-{examples}.json"
    if not kept.exists():
        _say(f"checking all specs with diffusers {diffusers}, torch {torch}, Python {python}")
        checked = run(target, "-c", _CHECK, "check", "--all", "--format", "json", "--examples", str(examples))
        kept.write_text(checked, encoding="utf-8")
    report = json.loads(kept.read_text(encoding="utf-8"))
    claims = json.loads(run(target, "-m", "tools.drift.pipeline").splitlines()[-1])["claims"]
    return Seen(diffusers, torch, python, outcomes(report), frozenset(classes), claims)


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
