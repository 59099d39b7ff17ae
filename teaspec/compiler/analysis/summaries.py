"""Summaries of the functions that a forward calls and whose source stands beside it."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from teaspec.compiler.analysis.calls import CallSummary, draws_random
from teaspec.compiler.analysis.effects import effects_of


def summaries_of(
    methods: Mapping[str, ast.FunctionDef], functions: Mapping[str, ast.FunctionDef]
) -> dict[str, CallSummary]:
    """Summarise methods (under `self.<name>`) and plain functions (under their name).

    Functions that call one another are summarised together until nothing changes.
    """
    nodes = {**{f"self.{name}": node for name, node in methods.items()}, **functions}
    summaries = {name: CallSummary() for name in nodes}
    changed = True
    while changed:
        changed = False
        for name, node in nodes.items():
            summary = _summary(node, name.startswith("self."), summaries)
            if summary != summaries[name]:
                summaries[name], changed = summary, True
    return summaries


def _summary(node: ast.FunctionDef, is_method: bool, known: Mapping[str, CallSummary]) -> CallSummary:
    parameters = [a.arg for a in [*node.args.posonlyargs, *node.args.args]]
    self_name = parameters[0] if is_method and parameters else "self"
    own = parameters[1:] if is_method else parameters
    effects = effects_of(node.body, known, self_name)
    changed: set[int | str] = set()
    for position, name in enumerate(own):
        if name in effects.changes:
            changed |= {position, name}
    changed |= {a.arg for a in node.args.kwonlyargs if a.arg in effects.changes}
    attributes = {name[5:] for name in effects.reads if name.startswith("self.")} if is_method else set()
    stores = {name[5:] for name in effects.binds if name.startswith("self.")} if is_method else set()
    return CallSummary(
        loads=frozenset(attributes),
        stores=frozenset(stores),
        changes=frozenset(changed),
        random=effects.random,
        external=bool(stores),
    )


def draws_in(node: ast.FunctionDef) -> bool:
    """Whether a function's own text draws random numbers."""
    return any(isinstance(part, ast.Call) and draws_random(part, "self") for part in ast.walk(node))
