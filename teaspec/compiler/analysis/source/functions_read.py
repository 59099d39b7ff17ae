"""The function objects that a model's source was read from, to be asked later whether they still are what runs."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from teaspec.compiler.analysis.source.definitions import find_readable
from teaspec.compiler.analysis.source.methods import overridden_functions
from teaspec.compiler.forms.called import Overridden
from teaspec.compiler.forms.functions import FindReplaced, FunctionsRead, MethodsRead, find_method, find_replaced
from teaspec.compiler.forms.paths import is_within, names_of
from teaspec.compiler.forms.source import ModelSource, ModuleSource


def functions_read(source: ModelSource, module: Any, find: FindReplaced = find_replaced) -> FunctionsRead:
    """Notes which function objects a model's source was read from.

    Args:
        source: The model's source.
        module: The live instance that it was read from.
        find: Gave the forwards that were set on modules in place of their classes'.
    """
    norm, path = source.norm, (*names_of(source.norm.loop), source.norm.index)
    modules_read = [module]
    modules = [MethodsRead.of(module, (), _own_methods(source.model), find)]
    for frame, step in zip(norm.frames, norm.steps, strict=True):
        modules.append(MethodsRead.of(module, path, _own_methods(frame), find))
        modules_read.append(module.get_submodule(".".join(path)))
        path = (*path, *names_of(step))
    plain: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    for read in (source.model, *norm.frames):
        above = {source.file.module for name, source in read.methods.items() if isinstance(name, Overridden)}
        for space in (vars(sys.modules[name]) for name in sorted({read.forward.file.module, *above})):
            plain.append((space, {name: space.get(name) for name in read.summaries if isinstance(name, str)}))
    for owner, read in zip(modules_read, (source.model, *norm.frames), strict=True):
        overridden = overridden_functions(type(owner), read.methods)
        plain += [(vars(base), {name: vars(base)[name]}) for base, name in overridden]
    classes = dict.fromkeys(type(child) for child in module.modules() if forward_of(child) is not None)
    return FunctionsRead(tuple(modules), tuple((cls, cls.forward) for cls in classes), tuple(plain), find)


def _own_methods(module: ModuleSource) -> frozenset[str]:
    return frozenset(name for name in module.methods if isinstance(name, str))


def forward_of(module: Any) -> ast.FunctionDef | None:
    """Gives the forward of a submodule, where its source can be read; torch's own are known and not read.

    Args:
        module: The live submodule.
    """
    given = find_method(module, "forward", find_replaced)
    forward = inspect.unwrap(given) if callable(given) else None
    is_of_torch = is_within(type(module).__module__, "torch.nn") and given is type(module).forward
    return find_readable(forward) if isinstance(forward, FunctionType) and not is_of_torch else None
