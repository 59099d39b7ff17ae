"""Proves every class, inside the scratch environment: `python -m tools.vllm_omni.worker OUTPUT.json [NAME...]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from teaspec.catalog.shipped import shipped_folder
from teaspec.proof.determinism import FreshInterpreter
from tools.elsewhere.outcome import Outcome
from tools.elsewhere.prove import Prover
from tools.vllm_omni.hooked import require_equal_when_served

_CLASSES = Path(__file__).with_name("classes.yaml")
_MODELS = "vllm_omni.diffusion.models."
EXAMPLES = 10


def main() -> None:
    """Writes the outcomes as JSON."""
    output, names = Path(sys.argv[1]), sys.argv[2:]
    with FreshInterpreter() as interpreter:
        outcomes = []
        for outcome in _outcomes(interpreter, names):
            sys.stdout.write(f"{outcome.verdict:8} {outcome.served:8} {outcome.model}\n")
            sys.stdout.flush()
            outcomes.append(asdict(outcome))
    if not names:
        from tools.vllm_omni.adapter import require_cached

        sys.stdout.write(f"passes   the diffusers backend: {require_cached()}\n")
    output.write_text(json.dumps(outcomes, indent=1), encoding="utf-8")


def _outcomes(interpreter: FreshInterpreter, names: list[str]) -> Iterator[Outcome]:
    from teaspec.integrations import vllm_omni

    vllm_omni.register()
    entries: list[dict[str, Any]] = YAML(typ="safe").load(_CLASSES.read_text(encoding="utf-8"))
    for entry in entries:
        if names and entry["model"].partition(":")[2] not in names:
            continue
        serve = partial(require_equal_when_served, pipeline_name=entry.get("pipeline"))
        prover = Prover("vllm_omni", interpreter, EXAMPLES, serve)
        spec = shipped_folder() / f"{entry['spec']}.yaml"
        yield prover.shipped(spec, _MODELS + entry["model"], entry.get("probe"))
    own = Prover("vllm_omni", interpreter, EXAMPLES, require_equal_when_served)
    for path in sorted((shipped_folder() / "vllm_omni").glob("*.yaml")):
        if not names or path.stem in names:
            yield own.own(path)


if __name__ == "__main__":
    main()
