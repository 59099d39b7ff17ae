"""Proves vLLM-Omni's own classes on a CPU: `python -m tools.vllm_omni [--write] [NAME...]`, or `make vllm-omni`.

Fetches its wheel, that of vllm and of the diffusers that it pins into folders that stand before this environment's
packages, and runs every class there, with `stand_ins` for what needs a GPU. `--write` puts the table into the docs.
"""

from __future__ import annotations

import sys

from tools.elsewhere.command import Command


def main() -> None:
    """Runs it; ends with 1 where a class does not pass that should."""
    wheels = ("vllm-omni==0.30.0", "vllm==0.30.0", "diffusers==0.40.0")
    command = Command("tools.vllm_omni", str(__doc__), wheels, table="vllm-omni", as_run="make vllm-omni")
    sys.exit(not all(outcome.passes for outcome in command.run()))


if __name__ == "__main__":
    main()
