"""The first turn of a block loop, written as assignments."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from teaspec.compiler.analysis.loops import iterated_lists
from teaspec.compiler.analysis.names import path_names, self_path
from teaspec.compiler.forms.source import FunctionSource


@dataclass(frozen=True)
class FirstTurn:
    """What a loop binds before its body runs for the norm's block.

    Attributes:
        bindings: Assignments to the loop's targets.
        block: The name that holds the block.
    """

    bindings: list[ast.stmt]
    block: str


def first_turn(loop: ast.For, path: str, index: str, function: FunctionSource) -> FirstTurn | None:
    """Bind a loop's targets as they are when it comes to the block `index` of the list `path`.

    Understood are the list itself and slices of it, `enumerate`, `zip`, `.items()`, `.values()`, `list`, `tuple`,
    nested in any way. Targets that have nothing to do with the list take the first item of what they iterate.

    Returns:
        None where the loop does not iterate the list, or in no way that is understood.
    """
    if path not in iterated_lists(loop, function):
        return None
    pairs = _Turn(path, index, function).pairs(loop.target, loop.iter)
    block = next((target for target, value, is_block in pairs or [] if is_block and isinstance(target, ast.Name)), None)
    if pairs is None or not isinstance(block, ast.Name):
        return None
    bindings: list[ast.stmt] = [
        ast.copy_location(ast.Assign(targets=[target], value=ast.copy_location(value, loop.iter)), loop)
        for target, value, _ in pairs
    ]
    return FirstTurn(bindings, block.id)


def bind_first_item(loop: ast.For) -> ast.stmt:
    """A loop's targets bound to the first item of what it iterates, whatever that is."""
    return ast.copy_location(ast.Assign(targets=[loop.target], value=_first(loop.iter)), loop)


_Pairs = list[tuple[ast.expr, ast.expr, bool]]


class _Turn:
    def __init__(self, path: str, index: str, function: FunctionSource) -> None:
        self.path, self.index, self.function = path, index, function
        self.key: int | str = int(index) if index.isdigit() else index
        self.known = path_names(function.node, function.self_name)

    def names_the_list(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return self.known.get(node.id) == self.path
        return self_path(node, self.function.self_name, self.known) == self.path

    def pairs(self, target: ast.expr, iterable: ast.expr) -> _Pairs | None:
        """Targets with their values, and whether a value is the block; None where the block is not what comes first."""
        if self.names_the_list(iterable):
            return [(target, _item(iterable, self.key), True)] if self.key == 0 else None
        if isinstance(iterable, ast.Subscript) and self.names_the_list(iterable.value):
            begins = isinstance(iterable.slice, ast.Slice) and _begins_at(iterable.slice, self.key)
            return [(target, _item(iterable.value, self.key), True)] if begins else None
        if isinstance(iterable, ast.Call):
            return self._of_call(target, iterable)
        # A list or a tensor. Never `next(iter(...))`: it would use up what the loop itself is going to iterate.
        return [(target, _item(iterable, 0), False)]

    def _of_call(self, target: ast.expr, call: ast.Call) -> _Pairs | None:
        if isinstance(call.func, ast.Attribute) and self.names_the_list(call.func.value):
            item = _item(call.func.value, self.index)
            if call.func.attr == "values":
                return [(target, item, True)]
            if call.func.attr == "items" and isinstance(target, ast.Tuple) and len(target.elts) == 2:
                return [(target.elts[0], ast.Constant(self.index), False), (target.elts[1], item, True)]
            return None
        function = call.func.id if isinstance(call.func, ast.Name) else ""
        if function in {"list", "tuple", "iter"} and len(call.args) == 1:
            return self.pairs(target, call.args[0])
        if function == "enumerate" and isinstance(target, ast.Tuple) and len(target.elts) == 2 and call.args:
            start = call.args[1] if len(call.args) > 1 else next((k.value for k in call.keywords), None)
            inner = self.pairs(target.elts[1], call.args[0])
            return None if inner is None else [(target.elts[0], start or ast.Constant(0), False), *inner]
        if function == "zip" and isinstance(target, ast.Tuple) and len(target.elts) == len(call.args):
            pairs: _Pairs = []
            for element, argument in zip(target.elts, call.args, strict=True):
                inner = self.pairs(element, argument)
                if inner is None:
                    return None
                pairs += inner
            return pairs
        return [(target, _first(call), False)]


def _begins_at(part: ast.Slice, key: int | str) -> bool:
    lower = part.lower.value if isinstance(part.lower, ast.Constant) else (0 if part.lower is None else None)
    return part.step is None and lower == key


def _item(container: ast.expr, key: int | str) -> ast.expr:
    return ast.Subscript(value=container, slice=ast.Constant(key), ctx=ast.Load())


def _first(iterable: ast.expr) -> ast.expr:
    if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name) and iterable.func.id == "range":
        return iterable.args[0] if len(iterable.args) > 1 else ast.Constant(0)
    return ast.Call(ast.Name("next", ast.Load()), [ast.Call(ast.Name("iter", ast.Load()), [iterable], [])], [])
