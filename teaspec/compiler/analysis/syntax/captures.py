"""Which part of what a `match` looks at each name of a pattern captures."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def captures(pattern: ast.pattern, subject: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """The names of a pattern, each with the expression whose value it captures, or is a part of."""
    if isinstance(pattern, (ast.MatchAs, ast.MatchStar)) and pattern.name is not None:
        yield from ((pattern.name, part) for part in _held(subject))
    if isinstance(pattern, ast.MatchMapping) and pattern.rest is not None:
        yield from ((pattern.rest, part) for part in _held(subject))
    for inner, part in _parts(pattern, subject):
        yield from captures(inner, part)


def _held(subject: ast.expr) -> list[ast.expr]:
    if isinstance(subject, (ast.Tuple, ast.List)):
        return list(subject.elts)
    return list(subject.values) if isinstance(subject, ast.Dict) else [subject]


def _parts(pattern: ast.pattern, subject: ast.expr) -> list[tuple[ast.pattern, ast.expr]]:
    """The patterns in a pattern, each with what it looks at; all of the subject, where that cannot be told."""
    if isinstance(pattern, ast.MatchAs):
        return [] if pattern.pattern is None else [(pattern.pattern, subject)]
    if isinstance(pattern, ast.MatchSequence) and isinstance(subject, (ast.Tuple, ast.List)):
        stars = [index for index, one in enumerate(pattern.patterns) if isinstance(one, ast.MatchStar)]
        head = stars[0] if stars else len(pattern.patterns)
        tail = len(pattern.patterns) - head - 1 if stars else 0
        if not any(isinstance(one, ast.Starred) for one in subject.elts) and head + tail <= len(subject.elts):
            pairs = list(zip(pattern.patterns[:head], subject.elts, strict=False))
            pairs += zip(pattern.patterns[head + 1 :], subject.elts[len(subject.elts) - tail :], strict=False)
            return pairs + [(pattern.patterns[index], subject) for index in stars]
    if isinstance(pattern, ast.MatchMapping) and isinstance(subject, ast.Dict):
        keys = [ast.dump(key) if key is not None else "" for key in subject.keys]
        found = [keys.index(ast.dump(key)) if ast.dump(key) in keys else None for key in pattern.keys]
        return [
            (one, subject if index is None else subject.values[index])
            for one, index in zip(pattern.patterns, found, strict=True)
        ]
    inner = [*getattr(pattern, "patterns", ()), *getattr(pattern, "kwd_patterns", ())]
    return [(one, subject) for one in inner]
