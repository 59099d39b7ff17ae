"""The first turn of a block loop, written as assignments."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from teaspec.compiler.analysis.flow.constants import number, numbers_of
from teaspec.compiler.analysis.loops.loops import iterated_lists
from teaspec.compiler.analysis.syntax.names import path_names, self_path
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.source import FunctionSource, NormPath


@dataclass(frozen=True)
class FirstTurn:
    """What a loop binds before its body runs for the norm's block.

    Attributes:
        bindings: Assignments to the loop's targets.
        numbers: The numbers among them that the body leaves alone.
        is_block: Whether an expression in the loop is the block.
    """

    bindings: list[ast.stmt]
    numbers: Mapping[str, int]
    is_block: Callable[[ast.expr], bool]


def first_turn(loop: ast.For, norm: NormPath, function: FunctionSource) -> FirstTurn | None:
    """Binds a loop's targets as they are when it comes to the norm's block.

    Understood are the list itself and slices of it, `enumerate`, `zip`, `.items()`, `.values()`, `list`, `tuple`,
    `reversed`, nested in any way, and loops that count and look up the block by its number. Targets that have nothing
    to do with the list take the first item of what they iterate.

    Returns:
        None where the loop does not iterate the list, or in no way that is understood.
    """
    if norm.loop not in iterated_lists(loop, function):
        return None
    turn = _Turn(norm, function)
    pairs = turn.pairs(loop.target, loop.iter)
    if pairs is None:
        return None
    bindings: list[ast.stmt] = [
        ast.copy_location(ast.Assign(targets=[target], value=ast.copy_location(value, loop.iter)), loop)
        for target, value, _ in pairs
    ]
    numbers = numbers_of(bindings, loop)
    names = {target.id for target, _, is_block in pairs if is_block and isinstance(target, ast.Name)}
    if not names and not any(is_block for _, _, is_block in pairs):
        names = turn.looked_up(loop, numbers)
    is_block = turn.recognising(frozenset(names), numbers)
    inside = (node for statement in loop.body for node in walk(statement) if isinstance(node, ast.expr))
    return FirstTurn(bindings, numbers, is_block) if any(map(is_block, inside)) else None


def other_beginning(loop: ast.For, norm: NormPath, function: FunctionSource) -> str:
    """Says with what a loop begins that does not begin with the norm's block."""
    turn = _Turn(norm, function)
    for node in walk(loop.iter):
        part = node.slice if isinstance(node, ast.Subscript) and turn.names_the_list(node.value) else None
        first = _beginning(part, {}) if isinstance(part, ast.Slice) else None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reversed":
            first = -1 if any(turn.names_the_list(argument) for argument in node.args) else None
        if first is not None:
            begins = "its last block" if first == -1 else f"block `{first}`"
            return f"the loop over `self.{norm.loop}` begins with {begins}, not with block `{norm.index}`"
    return f"the loop does not begin with block `{norm.index}` of `self.{norm.loop}` in a way that is understood"


def bind_first_item(loop: ast.For) -> ast.stmt:
    """A loop's targets bound to the first item of what it iterates, whatever that is."""
    return ast.copy_location(ast.Assign(targets=[loop.target], value=_first(loop.iter)), loop)


_Pairs = list[tuple[ast.expr, ast.expr, bool]]


class _Turn:
    def __init__(self, norm: NormPath, function: FunctionSource) -> None:
        self.path, self.index, self.is_last, self.function = norm.loop, norm.index, norm.is_last, function
        self.key: int | str = int(norm.index) if norm.index.isdigit() else norm.index
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
            begins = _beginning(iterable.slice, {}) if isinstance(iterable.slice, ast.Slice) else None
            first = self.key if begins == -1 and self.is_last else begins
            return None if first is None else [(target, _item(iterable.value, first), first == self.key)]
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
        if function == "reversed" and len(call.args) == 1 and self.names_the_list(call.args[0]):
            return [(target, _item(call.args[0], self.key), True)] if self.is_last else None
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

    # Loops that count

    def looked_up(self, loop: ast.For, numbers: Mapping[str, int]) -> set[str]:
        """The names that the body of a loop binds to the block, and to nothing else."""
        found: set[str] = set()
        inside = [part for statement in loop.body for part in walk(statement)]
        stores = [part.id for part in inside if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
        for node in inside:
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                name = self._bound_to_block(node.targets[0], node.value, numbers)
                found |= {name} if name is not None and stores.count(name) == 1 else set()
        return found

    def _bound_to_block(self, target: ast.expr, value: ast.expr, numbers: Mapping[str, int]) -> str | None:
        """The name in the target of an assignment that is bound to the block."""
        if isinstance(target, ast.Name):
            return target.id if self._is_item(value, numbers) else None
        if not isinstance(target, ast.Tuple) or any(isinstance(element, ast.Starred) for element in target.elts):
            return None
        if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
            parts = [self._bound_to_block(t, v, numbers) for t, v in zip(target.elts, value.elts, strict=True)]
            return next((name for name in parts if name is not None), None)
        part = value.slice if isinstance(value, ast.Subscript) and self.names_the_list(value.value) else None
        first = _beginning(part, numbers) if isinstance(part, ast.Slice) and part.step is None else None
        place = self.key - first if isinstance(self.key, int) and first is not None and first >= 0 else -1
        chosen = target.elts[place] if 0 <= place < len(target.elts) else None
        return chosen.id if isinstance(chosen, ast.Name) else None

    def _is_item(self, node: ast.expr, numbers: Mapping[str, int]) -> bool:
        """Whether an expression looks up the block in its list."""
        is_lookup = isinstance(node, ast.Subscript) and self.names_the_list(node.value)
        return is_lookup and number(node.slice, numbers) == self.key  # type: ignore[attr-defined]

    def recognising(self, names: frozenset[str], numbers: Mapping[str, int]) -> Callable[[ast.expr], bool]:
        """Tells whether an expression is the block."""

        def is_block(node: ast.expr) -> bool:
            return node.id in names if isinstance(node, ast.Name) else self._is_item(node, numbers)

        return is_block


def _beginning(part: ast.Slice, numbers: Mapping[str, int]) -> int | None:
    """The place at which a slice of a list begins; -1 for its last item, None where that is not known."""
    step = 1 if part.step is None else _signed(part.step)
    if step is None:
        return None
    if step < 0:
        return -1 if part.lower is None else None
    first = 0 if part.lower is None else number(part.lower, numbers)
    return first if first is not None and first >= 0 else None


def _signed(node: ast.expr) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        positive = number(node.operand, {})
        return None if positive is None else -positive
    return number(node, {})


def _item(container: ast.expr, key: int | str) -> ast.expr:
    return ast.Subscript(value=container, slice=ast.Constant(key), ctx=ast.Load())


def _first(iterable: ast.expr) -> ast.expr:
    if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name) and iterable.func.id == "range":
        return iterable.args[0] if len(iterable.args) > 1 else ast.Constant(0)
    return ast.Call(ast.Name("next", ast.Load()), [ast.Call(ast.Name("iter", ast.Load()), [iterable], [])], [])
