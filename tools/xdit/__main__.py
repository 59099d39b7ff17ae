"""Proves xDiT's wrappers of diffusers' classes on a CPU: `python -m tools.xdit [--write] [NAME...]`.

Fetches its wheel and what that imports into folders that stand before this environment's packages. `--write` puts the
table into the docs.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path

from tools.elsewhere.fetch import installed, unpacked
from tools.elsewhere.page import write_table
from tools.elsewhere.scratch import outcomes_of

ROOT = Path(__file__).parents[2]
WHEELS = ("xfuser==0.7.0",)


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="wrappers; default: all")
    parser.add_argument("--folder", type=Path, default=ROOT / ".vllm-omni", help="where the packages are kept")
    parser.add_argument("--write", action="store_true", help="write the table of docs/vllm-omni.md")
    options = parser.parse_args()
    folder = options.folder.resolve()
    packages = (installed(Path(__file__).with_name("requirements.txt"), folder), unpacked(WHEELS, folder))
    outcomes = outcomes_of("tools.xdit.worker", "tools.xdit.on_import", packages, options.names)
    if options.write:
        from diffusers import __version__

        now = datetime.now(timezone.utc).date()
        head = f"{', '.join(WHEELS)} with diffusers {__version__}, {now}: `python -m tools.xdit`."
        write_table(ROOT / "docs" / "vllm-omni.md", "xdit", head, outcomes)
    passed = sum(one.verdict == "passes" for one in outcomes)
    sys.stdout.write(f"{passed} of {len(outcomes)} pass\n")


if __name__ == "__main__":
    main()
