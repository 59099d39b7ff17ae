"""Gradient checkpointing: calls of a function that call another with what they are given."""

from __future__ import annotations

import ast

from teaspec.compiler.analysis.syntax.names import last_name

_CHECKPOINTING = frozenset("use_reentrant preserve_rng_state context_fn determinism_check debug early_stop".split())
"""What gradient checkpointing takes for itself, beside what it hands on."""


def is_checkpointing(func: ast.expr) -> bool:
    """Whether a function has the word in its name."""
    return "checkpoint" in last_name(func)


def checkpointed(call: ast.Call) -> ast.Call:
    """The call that gradient checkpointing makes; of torch's, or of guided diffusion's (function, inputs, weights)."""
    function, *given = call.args
    weights = given[1].func if len(given) > 1 and isinstance(given[1], ast.Call) else None
    inputs = given[0].elts if given and isinstance(given[0], (ast.Tuple, ast.List)) else None
    if inputs is not None and isinstance(weights, ast.Attribute) and weights.attr == "parameters":
        given = inputs
    keywords = [keyword for keyword in call.keywords if keyword.arg not in _CHECKPOINTING]
    return ast.copy_location(ast.Call(function, given, keywords), call)
