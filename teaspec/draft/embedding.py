"""Landmark 1: the call that embeds the timestep."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import nn

from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.flow.search import simple_statements
from teaspec.draft.reading import Reading, follows_from, names_in, ordered_targets, self_calls


@dataclass(frozen=True)
class _Call:
    """An assignment of what a call made of the time."""

    path: str
    names: tuple[str, ...]
    whole: bool
    """Whether the call is all that is assigned."""
    used: bool
    """Whether the blocks or the head read it, or what is made of it."""


def rank_embeddings(module: nn.Module, reading: Reading, hidden: str) -> Iterator[str]:
    """Values of `embed`, the likeliest first; `none` where no call before the blocks depends on the time.

    The embedding is the first such result that the blocks or the head read, in its final form.
    """
    calls = list(_timed_calls(module, reading, hidden))
    ranked: dict[str, tuple[bool, bool, int]] = {}
    for number, call in enumerate(calls):
        for name in call.names:
            again = any(other.names == call.names and other.whole for other in calls[number + 1 :])
            given = name in reading.parameters and len(call.names) > 1
            ranked[f"{call.path} -> {name}"] = (not call.used, again or given, number)
    modes = dict(_modes(module, reading, hidden))
    for text in sorted(ranked, key=lambda text: ranked[text]):
        if text in modes:
            yield modes[text]
        yield text
    yield "none"


def _modes(module: nn.Module, reading: Reading, hidden: str) -> Iterator[tuple[str, str]]:
    """Calls that two branches bind to different names: both names, that of the `else` first."""
    for statement in reading.before:
        if isinstance(statement, ast.If):
            branches = [
                next(_timed_calls(module, replace(reading, body=branch, first=len(branch)), hidden), None)
                for branch in (statement.orelse, statement.body)
            ]
            first, second = branches
            if first and second and first.path == second.path and first.names != second.names:
                joined = f"{first.path} -> {first.names[0]} or {second.names[0]}"
                yield f"{first.path} -> {first.names[0]}", joined
                yield f"{second.path} -> {second.names[0]}", joined


def _timed_calls(module: nn.Module, reading: Reading, hidden: str) -> Iterator[_Call]:
    """The calls before the blocks that depend on the time and do not make the stream, in their order."""
    self_name = reading.forward.self_name
    timed = set(reading.times)
    weighty = {path for path, child in module.named_modules() if path and any(True for _ in child.parameters())}
    weighty |= set(reading.source.methods)
    later = effects_of(reading.body[reading.first :], self_name=self_name).reads
    statements = list(simple_statements(reading.before))
    for number, statement in enumerate(statements):
        if isinstance(statement, ast.Assign):
            names = [name for target in statement.targets for name in ordered_targets(target) if name != "_"]
            called = [(p, c) for p, c in self_calls(statement.value, self_name) if p in weighty and names_in(c) & timed]
            if called and names and hidden not in names:
                made = _made_of(names, statements[number + 1 :], hidden, self_name)
                yield _Call(called[0][0], tuple(names), isinstance(statement.value, ast.Call), bool(made & later))
        timed = follows_from(timed, [statement], self_name) - {hidden}


def _made_of(names: list[str], statements: list[ast.stmt], hidden: str, self_name: str) -> set[str]:
    made = set(names)
    for statement in statements:
        made = follows_from(made, [statement], self_name) - {hidden}
    return made
