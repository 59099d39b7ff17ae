"""What is known before anything runs, and tests whose outcome follows from it."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.syntax.names import self_path

_COMPARE = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_COMPUTE: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What is known in one function.

    Attributes:
        absent: Attributes of its module that hold None.
        self_name: What it calls its module.
        numbers: Local names that hold a number, as in the first turn of a loop.
        tensors: Local names that hold a tensor, so not None.
        nones: Local names that hold None.
        false: Local names that hold what counts as false.
    """

    absent: frozenset[str]
    self_name: str
    numbers: Mapping[str, int] = field(default_factory=dict)
    tensors: frozenset[str] = frozenset()
    nones: frozenset[str] = frozenset()
    false: frozenset[str] = frozenset()


def numbers_of(bindings: Sequence[ast.stmt], loop: ast.For) -> dict[str, int]:
    """The numbers that the first turn of a loop binds and its body leaves alone.

    Args:
        bindings: What the first turn binds.
        loop: What its body binds is left out.
    """
    bound = effects_of(loop.body).binds
    return {
        target.id: statement.value.value
        for statement in bindings
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and type(statement.value.value) is int and target.id not in bound
    }


def decided(test: ast.expr, known: Known) -> bool | None:
    """Which way a test goes; None where what is known does not tell.

    Args:
        test: The test: literals, names, comparisons of numbers and names, of attributes and names with None, `not`,
            `and`, `or`.
        known: What is known where it stands.
    """
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Name):
        return False if test.id in known.nones | known.false else None
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = decided(test.operand, known)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        ways = [decided(value, known) for value in test.values]
        stops = isinstance(test.op, ast.Or)
        if ways[0] is stops:
            return stops
        return not stops if all(way is (not stops) for way in ways) else None
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _compared(test.left, test.ops[0], test.comparators[0], known)
    return None


def _compared(left: ast.expr, operation: ast.cmpop, right: ast.expr, known: Known) -> bool | None:
    if isinstance(operation, (ast.Is, ast.IsNot)):
        if not (isinstance(right, ast.Constant) and right.value is None):
            return None
        if isinstance(left, ast.Constant):
            return (left.value is None) is isinstance(operation, ast.Is)
        if isinstance(left, ast.Name) and left.id in known.tensors:
            return isinstance(operation, ast.IsNot)
        if isinstance(left, ast.Name) and left.id in known.nones:
            return isinstance(operation, ast.Is)
        return isinstance(operation, ast.Is) if self_path(left, known.self_name) in known.absent else None
    first, second = number(left, known.numbers), number(right, known.numbers)
    compare = _COMPARE.get(type(operation))
    return None if first is None or second is None or compare is None else bool(compare(first, second))


def number(node: ast.expr, numbers: Mapping[str, int]) -> int | None:
    """The whole number that an expression is, None where that is not known.

    Args:
        node: The expression.
        numbers: The names that are known to hold a number.
    """
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _COMPUTE:
        left, right = number(node.left, numbers), number(node.right, numbers)
        is_division = isinstance(node.op, (ast.FloorDiv, ast.Mod))
        if left is None or right is None or (is_division and right == 0):
            return None
        return _COMPUTE[type(node.op)](left, right)
    return numbers.get(node.id) if isinstance(node, ast.Name) else None
