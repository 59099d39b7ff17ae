"""What the patterns of a `match` capture, and what it depends on whether they match."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace

from teaspec.compiler.analysis.flow.origins import Level, Origin, holding
from teaspec.compiler.analysis.flow.trace_values import unpacked


def capture(
    pattern: ast.pattern, origin: Origin, value: Callable[[ast.expr], Origin], bind: Callable[[str, Origin], None]
) -> Level:
    """Binds the names of a pattern.

    Args:
        pattern: Behind a `case`, or a part of one.
        origin: Where the value comes from that it is matched against.
        value: Says where the value of an expression comes from.
        bind: Binds a name to a value of some origin.

    Returns:
        What it depends on whether the pattern matches. Of what type a value is does not depend on the blocks.
    """
    if isinstance(pattern, ast.MatchSequence):
        items = unpacked(pattern.patterns, origin)
        least = Level.FIXED if origin.items is not None else origin.level
        return max([least, *(capture(*pair, value, bind) for pair in zip(pattern.patterns, items, strict=True))])
    if isinstance(pattern, ast.MatchMapping):
        return _capture_items(pattern, origin, value, bind)
    if isinstance(pattern, ast.MatchClass):
        parts = [*pattern.patterns, *pattern.kwd_patterns]
        return max([Level.FIXED, *(capture(part, origin.apart, value, bind) for part in parts)])
    if isinstance(pattern, ast.MatchOr):
        return max(capture(part, origin, value, bind) for part in pattern.patterns)
    if isinstance(pattern, (ast.MatchStar, ast.MatchAs)):
        inner = pattern.pattern if isinstance(pattern, ast.MatchAs) else None
        if pattern.name is not None:
            bind(pattern.name, replace(origin, container=True) if isinstance(pattern, ast.MatchStar) else origin)
        return Level.FIXED if inner is None else capture(inner, origin, value, bind)
    return max(origin.level, value(pattern.value).level if isinstance(pattern, ast.MatchValue) else Level.FIXED)


def _capture_items(
    pattern: ast.MatchMapping,
    origin: Origin,
    value: Callable[[ast.expr], Origin],
    bind: Callable[[str, Origin], None],
) -> Level:
    held = {} if origin.keys is None else dict(zip(origin.keys, origin.items or (), strict=True))
    level = Level.FIXED if held else origin.level
    for key, part in zip(pattern.keys, pattern.patterns, strict=True):
        item = held.get(key.value) if isinstance(key, ast.Constant) else None
        level = max(level, value(key).level, capture(part, item or origin.apart, value, bind))
    if pattern.rest is not None:
        bind(pattern.rest, holding([origin.apart]))
    return level
