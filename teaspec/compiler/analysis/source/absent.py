"""What a module certainly has not: attributes that hold None for good, such as a projection of other blocks."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from teaspec.compiler.analysis.syntax.names import self_path
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.called import MethodName


def none_names(module: Any) -> frozenset[str]:
    """The attributes of a live module that hold None, submodules and parameters included."""
    # An attribute that its class has too may be a property, and says nothing of what a read of it gives.
    held = {**vars(module), **module._modules, **module._parameters}
    return frozenset(name for name, value in held.items() if value is None and not hasattr(type(module), name))


def absent_names(module: Any, methods: Mapping[MethodName, ast.FunctionDef]) -> frozenset[str]:
    """Those of them that stay None: no method but the constructor binds them.

    Args:
        module: A live module.
        methods: The methods of its class by name.
    """
    return none_names(module).difference(
        *(_bound_attributes(node) for name, node in methods.items() if name != "__init__")
    )


def _bound_attributes(method: ast.FunctionDef) -> set[str | None]:
    parameters = [*method.args.posonlyargs, *method.args.args]
    stores = [n for n in walk(method) if isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load)]
    return {self_path(node, parameters[0].arg) for node in stores} if parameters else set()
