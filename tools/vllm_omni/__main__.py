"""Proves vLLM-Omni's own classes on a CPU: `python -m tools.vllm_omni [--write] [NAME...]`, or `make vllm-omni`.

Fetches its wheel, that of vllm and of the diffusers that it pins into folders that stand before this environment's
packages, and runs every class there, with `stand_ins` for what needs a GPU. `--write` puts the table into the docs.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path

from tools.elsewhere.fetch import installed, unpacked
from tools.elsewhere.outcome import Outcome
from tools.elsewhere.page import write_table
from tools.elsewhere.scratch import outcomes_of

ROOT = Path(__file__).parents[2]
WHEELS = ("vllm-omni==0.30.0", "vllm==0.30.0", "diffusers==0.40.0")


def main() -> None:
    """Runs it; ends with 1 where a class does not pass that should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="classes, or specs of specs/vllm_omni; default: all")
    parser.add_argument("--folder", type=Path, default=ROOT / ".vllm-omni", help="where the packages are kept")
    parser.add_argument("--write", action="store_true", help="write the table of docs/vllm-omni.md")
    options = parser.parse_args()
    outcomes = prove(options.folder.resolve(), options.names)
    if options.write:
        now = datetime.now(timezone.utc).date()
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
    packages = (installed(Path(__file__).with_name("requirements.txt"), folder), unpacked(WHEELS, folder))
    return outcomes_of("tools.vllm_omni.worker", "tools.vllm_omni.on_import", packages, names)


if __name__ == "__main__":
    main()
