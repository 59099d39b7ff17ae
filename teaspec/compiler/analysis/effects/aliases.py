"""What an expression may share an object with."""

from __future__ import annotations

import ast

from teaspec.compiler.analysis.effects.operations import FRESH, NUMBERS, PLAIN_ATTRIBUTES
from teaspec.compiler.analysis.syntax.names import self_attribute
from teaspec.compiler.analysis.syntax.walking import children
from teaspec.compiler.forms.places import Place


def alias_sources(value: ast.expr, self_name: str = "self") -> set[Place]:
    """The places whose objects (or parts of them) `value` may be or hold.

    Arithmetic other than `+`, `*` and `|` (which join and repeat containers), comparisons and literals make new
    objects, and a shape, dtype or device is nobody's to change; anything else may hand on what goes into it, a
    submodule included (`nn.Identity` returns its input).
    """
    if isinstance(value, ast.Name):
        return {value.id} if isinstance(value.ctx, ast.Load) and value.id != self_name else set()
    if isinstance(value, ast.Attribute):
        if value.attr in PLAIN_ATTRIBUTES:
            return set()
        attribute = self_attribute(value, self_name)
        return {attribute} if attribute else alias_sources(value.value, self_name)
    return {name for part in _handed_on(value, self_name) for name in alias_sources(part, self_name)}


def _handed_on(value: ast.AST, self_name: str) -> list[ast.expr]:
    """The parts of an expression whose values it may be or hold."""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.UAdd):
        return [value.operand]  # `+x` of a tensor is that tensor
    if isinstance(value, (ast.Compare, ast.Constant, ast.JoinedStr, ast.UnaryOp)):
        return []
    if isinstance(value, ast.BinOp) and not isinstance(value.op, (ast.Add, ast.Mult, ast.BitOr)):
        return []
    if isinstance(value, ast.Subscript):
        return [value.value]
    if isinstance(value, ast.IfExp):
        return [value.body, value.orelse]
    if isinstance(value, ast.Call):
        function = value.func
        if isinstance(function, ast.Name) and function.id in NUMBERS:
            return []
        on_self = isinstance(function, ast.Attribute) and self_attribute(function, self_name) is not None
        if isinstance(function, ast.Attribute) and function.attr in FRESH and not on_self:
            return [keyword.value for keyword in value.keywords if keyword.arg == "out"]
        called = function.value if isinstance(function, ast.Attribute) else function
        return [called, *value.args, *(keyword.value for keyword in value.keywords)]
    inner = [part for part in children(value) if not isinstance(part, ast.expr)]
    parts = [part for part in children(value) if isinstance(part, ast.expr)]
    return [*parts, *(part for one in inner for part in _handed_on(one, self_name))]
