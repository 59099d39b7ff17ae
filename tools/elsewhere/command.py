"""The command that proves another package's classes: fetches it, runs the worker there, and writes the table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tools.elsewhere.fetch import installed, unpacked
from tools.elsewhere.outcome import Outcome
from tools.elsewhere.page import write_table
from tools.elsewhere.scratch import outcomes_of

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        tool: The package of this project that holds it, with a `worker`, an `on_import` and a `requirements.txt`.
        about: What it does, for `--help`.
        wheels: What is fetched, such as `vllm==0.30.0`.
        table: What its table is called in the comments of docs/vllm-omni.md.
        as_run: How it is called, as the page says.
        beside: What else its result depends on, as the page says.
    """

    tool: str
    about: str
    wheels: Sequence[str]
    table: str
    as_run: str
    beside: str = ""

    def run(self) -> list[Outcome]:
        """Runs it.

        Returns:
            The outcomes.
        """
        parser = argparse.ArgumentParser(description=self.about, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("names", nargs="*", metavar="NAME", help="classes, or specs of its own; default: all")
        parser.add_argument("--folder", type=Path, default=_ROOT / ".vllm-omni", help="where the packages are kept")
        parser.add_argument("--write", action="store_true", help="write the table of docs/vllm-omni.md")
        options = parser.parse_args()
        outcomes = self._prove(options.folder.resolve(), options.names)
        if options.write:
            now = datetime.now(timezone.utc).date()
            head = f"{', '.join(self.wheels)}{self.beside}, {now}: `{self.as_run}`."
            write_table(_ROOT / "docs" / "vllm-omni.md", self.table, head, outcomes)
        passed = sum(one.passes for one in outcomes)
        sys.stdout.write(f"{passed} of {len(outcomes)} pass\n")
        return outcomes

    def _prove(self, folder: Path, names: Sequence[str]) -> list[Outcome]:
        requirements = _ROOT.joinpath(*self.tool.split("."), "requirements.txt")
        packages = (installed(requirements, folder), unpacked(self.wheels, folder))
        return outcomes_of(f"{self.tool}.worker", f"{self.tool}.on_import", packages, names)
