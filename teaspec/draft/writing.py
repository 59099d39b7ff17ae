"""A draft as YAML, with a comment where it is a guess among several."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from teaspec.draft.inputs import forward_parameters
from teaspec.draft.landmarks import Found
from teaspec.draft.probe import ProbeDraft

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*( [*+/-]+ [\w.]+)*|\d+( \* \w+)+")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "none"))
_SHOWN = 3


def write_spec(model: str, model_class: type[nn.Module], found: Found, probe: ProbeDraft) -> str:
    """The text of a drafted spec.

    Args:
        model: Import path of the model.
        model_class: Names what the spec is for, and where it lies.
        found: The landmarks.
        probe: Is written below the landmarks, with what is in doubt as comments.
    """
    return "\n".join([*_landmarks(model, found), *_probe(model_class, probe)]) + "\n"


def _landmarks(model: str, found: Found) -> Iterator[str]:
    if found.error is not None:
        yield "# The compiler does not accept these landmarks yet:"
        yield from (f"#   {diagnostic.message}" for diagnostic in found.error.diagnostics)
    for key, value in found.guess.lines(model).items():
        # `none` is always possible, and never worth a remark beside a call
        others = [other for other in found.alternatives.get(key, ()) if other != "none"]
        more = ", ..." if len(others) > _SHOWN else ""
        comment = f" # or {', '.join(f'`{other}`' for other in others[:_SHOWN])}{more}" if others else ""
        yield f"{key}: {value}{comment}"


def _probe(model_class: type[nn.Module], probe: ProbeDraft) -> Iterator[str]:
    if probe.error is not None:
        yield "# The model's own forward does not run with this probe yet:"
        yield f"#   {' '.join(probe.error.split())[:300]}"
    if not probe.inputs:
        yield f"# probe: no inputs found; the smallest config tried was {flow(probe.config)}"
        return
    yield from (f"# {' '.join(remark.split())[:300]}" for remark in probe.remarks)
    yield "probe:"
    yield f"  config: {flow(probe.config)}"
    yield f"  dims: {flow(probe.dims)}"
    yield "  inputs:"
    for name, value in probe.inputs.items():
        yield f"    {name}: {flow(value)}"
    left_out = [name for name in forward_parameters(model_class) if name not in probe.inputs]
    if left_out:
        yield "    # left out, because the forward runs without them; each that matters deserves a case:"
        yield f"    # {', '.join(left_out)}"


def flow(value: Any) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{flow(key)}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(flow, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and value.lower() not in _WORDS):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)
