"""What a call spreads: the items of tuples, lists and dicts in `f(*args, **kwargs)`, where they are in sight."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from teaspec.compiler.analysis.flow.dataflow import Reader
from teaspec.compiler.analysis.syntax.walking import walk

Items = dict[int | str, ast.expr]
"""Every item of a tuple or list by its index, or the items that are known of a dict by their key."""


def without_spreading(
    reader: Reader, call: ast.Call, at: ast.Call | None = None
) -> tuple[list[ast.expr], list[ast.keyword]]:
    """The arguments of a call, with known items in the place of what it spreads.

    An item is known by the name, the constant or the tuple of those that it was made from, as long as the names still
    mean the same; an item of a tuple is otherwise known as what it is, `args[2]`. A dict may hold more than is known of
    it, so `**kwargs` stays, behind the others.

    Args:
        reader: Reads effects in the function that the call stands in.
        call: May spread lists (`*items`) and mappings (`**items`).
        at: Where it stands, a node of that function; None for the call itself.
    """
    spread = [argument.value for argument in call.args if isinstance(argument, ast.Starred)]
    spread += [keyword.value for keyword in call.keywords if not keyword.arg]
    names = {node.id for node in spread if isinstance(node, ast.Name)}
    known: dict[str, Items] = {}
    for statement in preceding(reader.function.node.body, at or call) if names else []:
        _note(reader, statement, names, known)
    positional: list[ast.expr] = []
    for argument in call.args:
        items = _items_of(argument.value, known) if isinstance(argument, ast.Starred) else None
        positional += [items[index] for index in range(len(items))] if items else [argument]
    named = [
        ast.copy_location(ast.keyword(arg=str(key), value=value), value)
        for keyword in call.keywords
        if not keyword.arg
        for key, value in (_items_of(keyword.value, known) or {}).items()
    ]
    return positional, [*(k for k in call.keywords if k.arg), *named, *(k for k in call.keywords if not k.arg)]


def _items_of(spread: ast.expr, known: Mapping[str, Items]) -> Items | None:
    return known.get(spread.id) if isinstance(spread, ast.Name) else None


def preceding(suite: Sequence[ast.stmt], node: ast.AST) -> list[ast.stmt]:
    """The statements on the way to a node: those before it in each suite around it, loops entered just now."""
    for index, statement in enumerate(suite):
        if any(part is node for part in walk(statement)):
            return [*suite[:index], *_entered(statement, node)]
    return []


def _entered(statement: ast.stmt, node: ast.AST) -> list[ast.stmt]:
    suites = [suite for name in ("body", "orelse") if (suite := getattr(statement, name, None))]
    inside = next((s for s in suites if any(part is node for inner in s for part in walk(inner))), None)
    if inside is None or isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return []
    header: ast.stmt = statement  # whatever may have run of it
    if isinstance(statement, ast.If):
        header = ast.Expr(statement.test)
    elif isinstance(statement, ast.For) and inside is statement.body:
        header = ast.For(statement.target, statement.iter, [ast.Pass()], [])
    elif isinstance(statement, ast.With):
        header = ast.With(statement.items, [ast.Pass()])
    return [ast.copy_location(header, statement), *preceding(inside, node)]


def _note(reader: Reader, statement: ast.stmt, names: set[str], known: dict[str, Items]) -> None:
    """Brings what is known up to date behind a statement."""
    effects = reader.effects(statement)
    for name in names:
        if name in effects.binds:
            known[name] = _made(statement, name, reader.containers)
        elif name in effects.changes:
            before = known.get(name, {})
            is_dict = name in reader.containers and not any(isinstance(key, int) for key in before)
            known[name] = _filled(statement, name, before) if is_dict else {}
        for key, value in list(known.get(name, {}).items()):
            if any(isinstance(node, ast.Name) and node.id in effects.binds for node in walk(value)):
                del known[name][key]
                if isinstance(key, int):
                    known[name][key] = _item(name, key, value)


def _made(statement: ast.stmt, name: str, containers: frozenset[str]) -> Items:
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return {}
    target, value = statement.targets[0], statement.value
    if not isinstance(target, ast.Name):
        return {}
    is_own = isinstance(value, ast.Tuple) or name in containers
    if (
        isinstance(value, (ast.Tuple, ast.List))
        and is_own
        and not any(isinstance(item, ast.Starred) for item in value.elts)
    ):
        return {i: item if _is_simple(item) else _item(name, i, item) for i, item in enumerate(value.elts)}
    if isinstance(value, ast.Dict) and name in containers and None not in value.keys:
        pairs = zip(value.keys, value.values, strict=True)
        return _simple({key.value: item for key, item in pairs if isinstance(key, ast.Constant)})
    return {}


def _filled(statement: ast.stmt, name: str, before: Items) -> Items:
    """The items of a dict of the function's own behind a statement that changes it."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "update":
        named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        if call.args or len(named) != len(call.keywords):
            return {}
        return {**{key: value for key, value in before.items() if key not in named}, **_simple(named)}
    uses = [node for node in walk(statement) if isinstance(node, ast.Name) and node.id == name]
    stores = [node for node in walk(statement) if isinstance(node, ast.Subscript) and node.value in uses]
    keys = [s.slice.value for s in stores if isinstance(s.slice, ast.Constant) and isinstance(s.ctx, ast.Store)]
    if len(keys) != len(uses):
        return {}
    left = {key: value for key, value in before.items() if key not in keys}
    if isinstance(statement, ast.Assign) and statement.targets == stores:
        return {**left, **_simple(dict.fromkeys(keys, statement.value))}
    return left  # in a branch, an item may or may not have been stored


def _simple(items: Mapping[Any, ast.expr]) -> Items:
    return {key: value for key, value in items.items() if isinstance(key, str) and _is_simple(value)}


def _is_simple(value: ast.expr) -> bool:
    if isinstance(value, ast.Tuple):
        return all(_is_simple(item) for item in value.elts)
    return isinstance(value, (ast.Name, ast.Constant))


def _item(name: str, index: int, at: ast.expr) -> ast.expr:
    made = ast.Subscript(ast.Name(name, ast.Load()), ast.Constant(index), ast.Load())
    return ast.fix_missing_locations(ast.copy_location(made, at))
