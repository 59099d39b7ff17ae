"""Proves every wrapper, inside the scratch environment: `python -m tools.xdit.worker OUTPUT.json [NAME...]`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from teaspec.catalog.shipped import shipped_folder
from teaspec.proof.determinism import FreshInterpreter
from tools.elsewhere.prove import Prover

_CLASSES = Path(__file__).with_name("classes.yaml")
_MODELS = "xfuser.model_executor.models.transformers.transformer_"
EXAMPLES = 10


def main() -> None:
    """Writes the outcomes as JSON."""
    output, names = Path(sys.argv[1]), sys.argv[2:]
    entries: list[dict[str, Any]] = YAML(typ="safe").load(_CLASSES.read_text(encoding="utf-8"))
    outcomes = []
    with FreshInterpreter() as interpreter:
        prover = Prover("xfuser", interpreter, EXAMPLES)
        for entry in entries:
            if names and entry["model"].partition(":")[2] not in names:
                continue
            spec = shipped_folder() / f"{entry['spec']}.yaml"
            outcome = prover.shipped(spec, _MODELS + entry["model"], entry.get("probe"), entry.get("lines"))
            sys.stdout.write(f"{outcome.verdict:8} {outcome.model}\n")
            sys.stdout.flush()
            outcomes.append(asdict(outcome))
    output.write_text(json.dumps(outcomes, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
