"""Numbers that the first turn of a loop is known by, and tests whose outcome follows from them."""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping, Sequence

from teaspec.compiler.analysis.statement_effects import effects_of

_COMPARE = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip


def numbers_of(bindings: Sequence[ast.stmt], loop: ast.For) -> dict[str, int]:
    """The numbers that the first turn of a loop binds and its body leaves alone.

    Args:
        bindings: What the first turn binds.
        loop: The loop.
    """
    bound = effects_of(loop.body).binds
    return {
        target.id: statement.value.value
        for statement in bindings
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and type(statement.value.value) is int and target.id not in bound
    }


def decided(test: ast.expr, constants: Mapping[str, int]) -> bool | None:
    """Which way a test goes, given the values of some names; None where they do not tell.

    Args:
        test: The test: comparisons of numbers and names, `not`, `and`, `or`.
        constants: The known values.
    """
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = decided(test.operand, constants)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        ways = [decided(value, constants) for value in test.values]
        stops = isinstance(test.op, ast.Or)
        if ways[0] is stops:
            return stops
        return not stops if all(way is (not stops) for way in ways) else None
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        left, right = _number(test.left, constants), _number(test.comparators[0], constants)
        compare = _COMPARE.get(type(test.ops[0]))
        return None if left is None or right is None or compare is None else bool(compare(left, right))
    return None


def _number(node: ast.expr, constants: Mapping[str, int]) -> int | None:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    return constants.get(node.id) if isinstance(node, ast.Name) else None
