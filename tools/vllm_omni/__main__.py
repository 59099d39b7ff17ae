"""Proves vLLM-Omni's own classes on a CPU: `python -m tools.vllm_omni [--write] [NAME...]`, or `make vllm-omni`.

Fetches its wheel, that of vllm and of the diffusers that it pins into folders that stand before this environment's
packages, and runs every class there, with `stand_ins` for what needs a GPU. `--write` puts the table into the docs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tools.elsewhere.fetch import installed, unpacked
from tools.elsewhere.outcome import Outcome
from tools.elsewhere.page import write_table

ROOT = Path(__file__).parents[2]
WHEELS = ("vllm-omni==0.30.0", "vllm==0.30.0", "diffusers==0.40.0")
_START = "from tools.vllm_omni.on_import import watch\n\nwatch()\n"


def main() -> None:
    """Runs it; ends with 1 where a class does not pass that should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="classes, or specs of specs/vllm_omni; default: all")
    parser.add_argument("--folder", type=Path, default=ROOT / ".vllm-omni", help="where the packages are kept")
    parser.add_argument("--write", action="store_true", help="write the table of docs/vllm-omni.md")
    options = parser.parse_args()
    outcomes = prove(options.folder.resolve(), options.names)
    if options.write:
        now = datetime.now(tz=UTC).date()
        head = f"{', '.join(WHEELS)}, {now}: `make vllm-omni`."
        write_table(ROOT / "docs" / "vllm-omni.md", "vllm-omni", head, outcomes)
    failed = [one for one in outcomes if one.verdict != "passes" or one.served != "passes"]
    sys.stdout.write(f"{len(outcomes) - len(failed)} of {len(outcomes)} pass\n")
    sys.exit(bool(failed))


def prove(folder: Path, names: list[str]) -> list[Outcome]:
    """Proves classes in the scratch environment.

    Args:
        folder: Where its packages are kept.
        names: Which; all where there are none.
    """
    packages = (unpacked(WHEELS, folder), installed(Path(__file__).with_name("requirements.txt"), folder))
    with tempfile.TemporaryDirectory(prefix="teaspec-vllm-omni-") as scratch:
        start, output = Path(scratch) / "start", Path(scratch) / "outcomes.json"
        start.mkdir()
        (start / "sitecustomize.py").write_text(_START, encoding="utf-8")
        path = os.pathsep.join(map(str, (start, ROOT, packages[1], packages[0])))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", "tools.vllm_omni.worker", str(output), *names]
        subprocess.run(command, cwd=scratch, env=environment, check=True)
        found = json.loads(output.read_text(encoding="utf-8"))
    return [Outcome(**{**one, "left_out": tuple(one["left_out"]), "changed": tuple(one["changed"])}) for one in found]


if __name__ == "__main__":
    main()
