"""Proves xDiT's wrappers of diffusers' classes on a CPU: `python -m tools.xdit [--write] [NAME...]`.

Fetches its wheel and what that imports into folders that stand before this environment's packages. `--write` puts the
table into the docs.
"""

from __future__ import annotations

from importlib.metadata import version

from tools.elsewhere.command import Command


def main() -> None:
    """Runs it."""
    beside = f" with diffusers {version('diffusers')}"
    as_run = "python -m tools.xdit"
    Command("tools.xdit", str(__doc__), ("xfuser==0.7.0",), table="xdit", as_run=as_run, beside=beside).run()


if __name__ == "__main__":
    main()
