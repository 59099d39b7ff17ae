"""The first turn of a block loop, written as assignments."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from teaspec.compiler.analysis.loops import iterated_lists
from teaspec.compiler.analysis.names import self_path


@dataclass(frozen=True)
class FirstTurn:
    """What a loop binds before its body runs for the norm's block.

    Attributes:
        bindings: Assignments to the loop's targets.
        block: The name that holds the block.
    """

    bindings: list[ast.stmt]
    block: str


def first_turn(loop: ast.For, path: str, index: str, self_name: str) -> FirstTurn | None:
    """Bind a loop's targets as they are when it comes to the block `index` of the list `path`.

    Understood are the list itself and slices of it, `enumerate`, `zip`, `.items()`, `.values()`, `list`, `tuple`, nested in
    any way. Targets that have nothing to do with the list take the first item of what they iterate.

    Returns:
        None where the loop does not iterate the list, or in no way that is understood.
    """
    if path not in iterated_lists(loop, self_name):
        return None
    pairs = _pairs(loop.target, loop.iter, path, index, self_name)
    block = next((target for target, value, is_block in pairs or [] if is_block and isinstance(target, ast.Name)), None)
    if pairs is None or not isinstance(block, ast.Name):
        return None
    bindings: list[ast.stmt] = [
        ast.copy_location(ast.Assign(targets=[target], value=ast.copy_location(value, loop.iter)), loop)
        for target, value, _ in pairs
    ]
    return FirstTurn(bindings, block.id)


_Pairs = list[tuple[ast.expr, ast.expr, bool]]


def _pairs(target: ast.expr, iterable: ast.expr, path: str, index: str, self_name: str) -> _Pairs | None:
    key: int | str = int(index) if index.isdigit() else index
    named = self_path(iterable, self_name)
    if named == path:
        return [(target, _item(iterable, key), True)]
    if isinstance(iterable, ast.Subscript) and self_path(iterable.value, self_name) == path:
        return [(target, _item(iterable.value, key), True)]
    if not isinstance(iterable, ast.Call):
        return [(target, _first(iterable), False)]
    method = iterable.func.attr if isinstance(iterable.func, ast.Attribute) else ""
    owner = iterable.func.value if isinstance(iterable.func, ast.Attribute) else None
    if owner is not None and self_path(owner, self_name) == path:
        item = _item(owner, index)
        if method == "values":
            return [(target, item, True)]
        if method == "items" and isinstance(target, ast.Tuple) and len(target.elts) == 2:
            return [(target.elts[0], ast.Constant(index), False), (target.elts[1], item, True)]
        return None
    function = iterable.func.id if isinstance(iterable.func, ast.Name) else ""
    if function in {"list", "tuple", "iter"} and len(iterable.args) == 1:
        return _pairs(target, iterable.args[0], path, index, self_name)
    if function == "enumerate" and isinstance(target, ast.Tuple) and len(target.elts) == 2 and iterable.args:
        start = iterable.args[1] if len(iterable.args) > 1 else next((k.value for k in iterable.keywords), None)
        inner = _pairs(target.elts[1], iterable.args[0], path, index, self_name)
        return None if inner is None else [(target.elts[0], start or ast.Constant(0), False), *inner]
    if function == "zip" and isinstance(target, ast.Tuple) and len(target.elts) == len(iterable.args):
        pairs: _Pairs = []
        for element, argument in zip(target.elts, iterable.args, strict=True):
            inner = _pairs(element, argument, path, index, self_name)
            if inner is None:
                return None
            pairs += inner
        return pairs
    return [(target, _first(iterable), False)]


def _item(container: ast.expr, key: int | str) -> ast.expr:
    return ast.Subscript(value=container, slice=ast.Constant(key), ctx=ast.Load())


def _first(iterable: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("next", ast.Load()), [ast.Call(ast.Name("iter", ast.Load()), [iterable], [])], [])
