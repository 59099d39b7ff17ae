"""Summaries of the functions that a forward calls and whose source stands beside it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce

from teaspec.compiler.analysis.effects.calls import Known, Summaries, changed_by_call, draws_random, known_in
from teaspec.compiler.analysis.effects.effects import Effects
from teaspec.compiler.analysis.effects.settling import settles, without_conversions
from teaspec.compiler.analysis.effects.statements import effects_of, unknown_syntax
from teaspec.compiler.analysis.effects.views import views_of
from teaspec.compiler.analysis.syntax.names import self_attribute, target_names
from teaspec.compiler.analysis.syntax.walking import walk, walked
from teaspec.compiler.forms.called import Above, CalledName, Method, MethodName, Overridden
from teaspec.compiler.forms.places import Attribute, attributes_in
from teaspec.compiler.forms.summary import CallSummary


def summaries_of(
    methods: Mapping[MethodName, ast.FunctionDef], functions: Mapping[str, Sequence[ast.FunctionDef]]
) -> dict[CalledName, CallSummary]:
    """Summarises methods and plain functions.

    Functions that call one another are summarised together until nothing changes. Methods that others override are
    summarised by their name alone, all of one name as one; so are functions of several files.
    """
    nodes: dict[CalledName, list[ast.FunctionDef]] = {name: list(same) for name, same in functions.items()}
    for name, node in methods.items():
        nodes.setdefault(Above(name.name) if isinstance(name, Overridden) else Method(name), []).append(node)
    summaries = {called: CallSummary() for called in nodes}
    changed = True
    while changed:
        changed = False
        for called, same in nodes.items():
            is_method = not isinstance(called, str)
            summary = reduce(CallSummary.either, (_summary_of(node, is_method, summaries) for node in same))
            changed = changed or summary != summaries[called]
            summaries[called] = summary  # which may be equal to an earlier one but for the function that it holds
    return summaries


def _summary_of(node: ast.FunctionDef, is_method: bool, summaries: Summaries) -> CallSummary:
    parameters = [a.arg for a in [*node.args.posonlyargs, *node.args.args]]
    self_name = parameters[0] if is_method and parameters else "self"
    return _summary(node, is_method, self_name, known_in(node, summaries, self_name))


# Of a round, only those change that call what the round before has changed; and a file has functions for many models.
@lru_cache(maxsize=1024)
def _summary(node: ast.FunctionDef, is_method: bool, self_name: str, given: Known) -> CallSummary:
    known = dict(given)
    parameters = [a.arg for a in [*node.args.posonlyargs, *node.args.args]]
    own = parameters[1:] if is_method else parameters
    if unknown_syntax(node):  # it may do anything; a forward that holds such is refused
        every = {*range(len(own)), *own, *(a.arg for a in node.args.kwonlyargs)}
        return CallSummary(changes=frozenset(every), random=True, external=True)
    effects = effects_of(node.body, known, self_name)
    changed: set[int | str] = set()
    for position, name in enumerate(own):
        if name in effects.changes:
            changed |= {position, name}
    changed |= {a.arg for a in node.args.kwonlyargs if a.arg in effects.changes}
    loads = attributes_in(effects.reads) if is_method else set()
    stores = attributes_in(effects.binds) if is_method else set()
    stores |= _changed_attributes(node, effects, known, self_name) if is_method else set()
    return CallSummary(
        loads=frozenset(loads),
        stores=frozenset(stores),
        changes=frozenset(changed),
        random=effects.random,
        external=bool(stores),
        node=node,
    )


def _changed_attributes(node: ast.FunctionDef, effects: Effects, known: Summaries, self_name: str) -> set[Attribute]:
    """The attributes of the model whose objects a method changes in place, itself or under a name of its own."""
    changed = attributes_in(b for a, b in effects.aliases if a in effects.changes)
    for call in (part for part in walked(node) if isinstance(part, ast.Call)):
        if self_name in changed_by_call(call, known, self_name):
            named = (self_attribute(part, self_name) for part in walk(call) if isinstance(part, ast.expr))
            changed |= {attribute for attribute in named if attribute is not None}
    return changed


# Both are asked for every submodule of every model, most of which are of a few classes.
@lru_cache(maxsize=1024)
def stores_in(node: ast.FunctionDef) -> bool:
    """Whether a method's own text changes the module it belongs to: an attribute, or what an attribute holds."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    self_name = arguments[0].arg if arguments else "self"
    if unknown_syntax(node):
        return True
    effects = effects_of(node.body, {}, self_name)
    return _changes_in_place(node, effects, self_name) or bool(attributes_in(effects.binds))


def settles_in(node: ast.FunctionDef) -> bool:
    """Whether a method that changes the module it belongs to would change nothing by one more call."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    self_name = arguments[0].arg if arguments else "self"
    if unknown_syntax(node):
        return False
    others = without_conversions(node)
    return not _changes_in_place(others, effects_of(others.body, {}, self_name), self_name) and settles(node)


def _changes_in_place(node: ast.FunctionDef, effects: Effects, self_name: str) -> bool:
    calls = (part for part in walked(node) if isinstance(part, ast.Call))
    in_place = any(self_name in changed_by_call(call, {}, self_name) for call in calls)
    return in_place or not _plainly_attributes(node, self_name).isdisjoint(effects.changes)


def _plainly_attributes(node: ast.FunctionDef, self_name: str) -> set[str]:
    """The local names that plainly stand for what an attribute of the module holds, or for a part of it."""
    assigned = [part for part in walked(node) if isinstance(part, (ast.Assign, ast.AnnAssign, ast.NamedExpr))]
    bound = [(one.targets if isinstance(one, ast.Assign) else [one.target], one.value) for one in assigned]
    names = {
        name for targets, value in bound if _is_attribute(value, self_name) for t in targets for name in target_names(t)
    }
    return views_of(node.body, names)


@lru_cache(maxsize=1024)
def draws_in(node: ast.FunctionDef) -> bool:
    """Whether a method's own text draws random numbers. Submodules that it calls are asked for themselves."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    self_name = arguments[0].arg if arguments else "self"
    submodules = _standing_for_attributes(node, self_name)
    calls = [part for part in walked(node) if isinstance(part, ast.Call)]
    own = [call for call in calls if not (isinstance(call.func, ast.Name) and call.func.id in submodules)]
    return any(draws_random(call, self_name) for call in own)


def _standing_for_attributes(node: ast.FunctionDef, self_name: str) -> set[str]:
    """The local names that never stand for anything but attributes of the module, or items of them."""
    parts = walked(node)
    values = {
        id(part.targets[0]): part.value for part in parts if isinstance(part, ast.Assign) and len(part.targets) == 1
    }
    bound = [part for part in parts if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)]
    others = {part.id for part in bound if not _is_attribute(values.get(id(part)), self_name)}
    return {part.id for part in bound} - others - {part.arg for part in parts if isinstance(part, ast.arg)}


def _is_attribute(value: ast.expr | None, self_name: str) -> bool:
    while isinstance(value, ast.Subscript):
        value = value.value
    return value is not None and self_attribute(value, self_name) is not None
