"""What a call may do besides returning a value: change its arguments, store on the model, draw random numbers."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache

from teaspec.compiler.analysis.effects.operations import (
    BUFFERS,
    CHANGES,
    CHANGES_BUFFERS,
    CHANGES_FIRST,
    INPLACE,
    RANDOM,
    RANDOM_AT,
    RANDOM_IF,
)
from teaspec.compiler.analysis.syntax.names import called_name, last_name, root_names, self_attribute
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.called import CalledName
from teaspec.compiler.forms.summary import CallSummary

Summaries = Mapping[CalledName, CallSummary]
"""What is known of functions, by what they are called by."""

Known = tuple[tuple[CalledName, CallSummary], ...]
"""The summaries of what a node calls, by name."""


def known_in(node: ast.AST, summaries: Summaries, self_name: str) -> Known:
    """What is known of the functions that a node calls: all that its effects depend on besides its own text."""
    if not summaries:
        return ()
    return tuple((name, summaries[name]) for name in _called(node, self_name) if name in summaries)


@lru_cache(maxsize=4096)
def _called(node: ast.AST, self_name: str) -> tuple[CalledName, ...]:
    """By what summaries know what a node calls, each once."""
    called = (called_name(part.func, self_name) for part in walk(node) if isinstance(part, ast.Call))
    return tuple(dict.fromkeys(one for one in called if one is not None))


def summary_of(func: ast.expr, summaries: Summaries, self_name: str) -> CallSummary | None:
    """What is known of the function that an expression names, None where nothing is."""
    called = called_name(func, self_name)
    return None if called is None else summaries.get(called)


def changed_by_call(call: ast.Call, summaries: Summaries, self_name: str) -> set[str]:
    """The names whose objects a call may change in place, by torch's and Python's conventions.

    A method of a container that changes it, a name that ends in one underscore (torch's in-place functions), the
    keyword `out=`, functions that are told to work in place, `next(iterator)`; for functions with a summary, the
    parameters that it changes.
    """
    last = last_name(call.func)
    in_place = last.endswith("_") and not last.endswith("__")
    changed: set[str] = set()
    if isinstance(call.func, ast.Attribute) and (in_place or last in CHANGES):
        changed |= root_names(call.func.value)
    if in_place or last in CHANGES_FIRST:
        changed |= {name for argument in call.args[:1] for name in root_names(argument)}
    changed |= _told_to_change(call, last)
    summary = summary_of(call.func, summaries, self_name)
    if summary is not None and summary.changes:
        for position, argument in enumerate(call.args):
            if position in summary.changes or isinstance(argument, ast.Starred):
                changed |= root_names(argument)
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg in summary.changes:
                changed |= root_names(keyword.value)
    return changed


def _told_to_change(call: ast.Call, last: str) -> set[str]:
    """What a call changes because of how it is called: `out=y`, `F.relu(x, True)`, running statistics."""
    changed: set[str] = set()
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    told = [keyword.value for keyword in call.keywords if keyword.arg == "inplace"]
    told += call.args[INPLACE[last] :][:1] if last in INPLACE else []
    if any(not (isinstance(way, ast.Constant) and way.value is False) for way in told):
        changed |= {name for argument in arguments for name in root_names(argument)}
    changed |= {name for k in call.keywords if k.arg == "out" for name in root_names(k.value)}
    if last in CHANGES_BUFFERS:
        buffers = [call.args[place] for place in CHANGES_BUFFERS[last] if place < len(call.args)]
        buffers += [keyword.value for keyword in call.keywords if keyword.arg in BUFFERS]
        changed |= {name for buffer in buffers for name in root_names(buffer)}
    return changed


def draws_random(call: ast.Call, self_name: str) -> bool:
    """Whether a call draws random numbers, by the name it is called by.

    Submodules are judged where they are resolved.
    """
    last = last_name(call.func)
    asked = [keyword.value for keyword in call.keywords if keyword.arg in RANDOM_IF]
    asked += call.args[RANDOM_AT[last] :][:1] if last in RANDOM_AT else []
    if any(not _is_nought(value) for value in asked):
        return True
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in RANDOM and self_attribute(call.func, self_name) is None
    return isinstance(call.func, ast.Name) and call.func.id in RANDOM


def _is_nought(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not value.value
