"""What a stream surely is where the blocks begin, if it is no tensor."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from teaspec.compiler.analysis.effects.statements import effects_of

_KINDS: dict[type[ast.expr], str] = {
    ast.Dict: "a dict", ast.DictComp: "a dict", ast.List: "a list", ast.ListComp: "a list",
    ast.Tuple: "a tuple", ast.Set: "a set", ast.SetComp: "a set",
}  # fmt: skip
_MAKERS = {"dict": "a dict", "list": "a list", "tuple": "a tuple", "set": "a set"}


def container_kind(body: Sequence[ast.stmt], name: str, self_name: str) -> tuple[str, ast.stmt] | None:
    """The container that a name holds behind some statements.

    Args:
        body: The statements.
        name: What the statements may bind.
        self_name: The name of the module.

    Returns:
        What it is, in words, and the statement that binds it; None where it is not known, or no container.
    """
    last = next((s for s in reversed(body) if name in effects_of(s, self_name=self_name).binds), None)
    if not isinstance(last, (ast.Assign, ast.AnnAssign)) or last.value is None:
        return None
    targets = last.targets if isinstance(last, ast.Assign) else [last.target]
    if not all(isinstance(target, ast.Name) for target in targets):
        return None
    value = last.value
    made = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
    kind = _KINDS.get(type(value)) or _MAKERS.get(made)
    return None if kind is None else (kind, last)
