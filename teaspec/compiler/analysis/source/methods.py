"""The source of a method of a live module, or why there is none to read."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import FunctionType
from typing import Any

from teaspec.compiler.analysis.source.definitions import (
    find_definition,
    find_readable,
    owner_path,
    source_file,
    wrappers_of,
)
from teaspec.compiler.analysis.source.folding import folded
from teaspec.compiler.analysis.syntax.names import self_path, super_attribute
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.called import MethodName, Overridden
from teaspec.compiler.forms.document import Path
from teaspec.compiler.forms.functions import FindReplaced, HeldBackError, NotAMethodError, method_of
from teaspec.compiler.forms.paths import first_of, last_of, names_of
from teaspec.compiler.forms.source import FunctionSource
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.report import Diagnostic, Label, SpecError


def function_source(spec: Spec, module: Any, name: str, where: Path, find: FindReplaced) -> FunctionSource:
    """Finds the source of a method of a live module.

    Args:
        spec: The spec, for messages.
        module: An instance; what stands on it counts before what stands on its class.
        name: The method.
        where: What part of the spec leads to it.
        find: Gives the forward that was set on a module in place of its class's.

    Raises:
        SpecError: `replaced-forward`, `opaque-decorator`, `no-source` or `async-forward`.
    """
    given = _method_of(spec, module, name, where, find)
    return _source_of(spec, given, f"{type(module).__name__}.{name}", where)


def _source_of(spec: Spec, given: Any, title: str, where: Path) -> FunctionSource:
    function = inspect.unwrap(given)
    name = last_of(title)
    if not isinstance(function, FunctionType):
        raise refusal(spec, "no-source", f"`{title}` is not a Python function", where)
    if function.__name__ != name and not _holds_landmarks(spec, function):
        message = f"`{title}` is wrapped by `{function.__qualname__}`, which hides it (no `functools.wraps`)"
        raise refusal(spec, "opaque-decorator", message, where, shown=function_label(function, "the wrapper"))
    try:
        found = find_definition(function)
    except (OSError, SyntaxError) as error:
        raise refusal(spec, "no-source", f"the source of `{title}` cannot be read: {error}", where) from error
    if found is None:
        raise refusal(spec, "no-source", f"the source of `{title}` cannot be found in its file", where)
    node, owner = found
    if isinstance(node, ast.AsyncFunctionDef):
        raise refusal(spec, "async-forward", f"`{title}` is a coroutine", where, shown=function_label(function, "here"))
    wrappers = sum(1 for _ in wrappers_of(given))
    if wrappers > len(node.decorator_list):
        message = f"`{title}` was replaced or wrapped after its class was made"
        raise refusal(spec, "opaque-decorator", message, where, shown=function_label(function, "what was wrapped"))
    module = sys.modules.get(function.__module__)
    if module is None or vars(module) is not function.__globals__:
        raise refusal(spec, "no-source", f"`{title}` comes from `{function.__module__}`, which is not imported", where)
    return FunctionSource(
        node=folded(node),
        file=source_file(module, function.__code__.co_filename),
        owner=owner,
        owner_path=owner_path(module, function),
        free=frozenset(function.__code__.co_freevars),
        function=function,
    )


def with_overridden(
    spec: Spec, cls: type, methods: Mapping[MethodName, FunctionSource], where: Path
) -> dict[MethodName, FunctionSource]:
    """Adds the methods that others override and call by `super()`, as far as they can be read.

    Args:
        spec: The spec, for messages.
        cls: A class.
        methods: Its methods by name.
        where: What part of the spec leads to it.

    Returns:
        The methods, each with what it calls by `super()`, and those.
    """
    found = dict(methods)
    waiting = list(methods)
    for name in waiting:
        source, supers = found[name], dict[str, Overridden]()
        for owner, called in _called_above(cls, source):
            above = Overridden(owner.__qualname__, called)
            try:
                overridden = _source_of(spec, vars(owner)[called], f"{owner.__qualname__}.{called}", where)
            except SpecError:
                continue  # not readable: calls to it stay opaque calls
            if found.setdefault(above, overridden).node is overridden.node:
                supers[called] = above
                waiting += [] if above in waiting else [above]
        found[name] = replace(source, supers=supers)
    return found


def overridden_functions(cls: type, methods: Mapping[MethodName, FunctionSource]) -> list[tuple[type, str]]:
    """The classes whose methods are called by `super()` in the methods of a class, each with the method."""
    return [place for source in methods.values() for place in _called_above(cls, source)]


def _called_above(cls: type, source: FunctionSource) -> list[tuple[type, str]]:
    """What a method calls by `super()`: the class that has it, and its name."""
    if "super" not in source.function.__code__.co_names:
        return []
    names = dict.fromkeys(name for node in walk(source.node) if (name := super_attribute(node)))
    ancestors = cls.__mro__
    own = [inspect.unwrap(f) if callable(f := vars(c).get(source.node.name)) else None for c in ancestors]
    if source.function not in own:
        return []
    above = ancestors[own.index(source.function) + 1 :]
    found = [(next((c for c in above if name in vars(c)), object), name) for name in names]
    # What torch.nn.Module brings is no part of a forward.
    return [
        (owner, name) for owner, name in found
        if isinstance(vars(owner).get(name), FunctionType) and first_of(owner.__module__) != "torch"
    ]  # fmt: skip


def _method_of(spec: Spec, module: Any, name: str, where: Path, find: FindReplaced) -> Any:
    cls = type(module)
    try:
        return method_of(module, name, find)
    except NotAMethodError as error:
        message = f"`{name}` of this `{cls.__name__}` was replaced on the instance, and {error} cannot be cut"
        help_lines: tuple[str, ...] = (
            f"set a method that is written out in a file: `module.{name} = types.MethodType(function, module)`",
            f"or take it off the instance: `del module.{name}`",
        )
    except HeldBackError:
        message = (
            f"`{cls.__name__}.{name}` was replaced while hooks around this instance go on calling the one of before"
        )
        help_lines = ("replace it before hooks are put on, or take them off and put them on again",)
    own = function_label(getattr(cls, name, None), "the method of its class")
    raise refusal(spec, "replaced-forward", message, where, help_lines, own)


def _holds_landmarks(spec: Spec, function: FunctionType) -> bool:
    """Whether a function under another name is a forward of its own, and not what hides one."""
    node = find_readable(function)
    parameters = [] if node is None else [*node.args.posonlyargs, *node.args.args]
    if node is None or not parameters:
        return False
    landmarks = {*spec.blocks.loops, *names_of(spec.norm), spec.forward} - {"forward"}
    attributes = (part for part in walk(node) if isinstance(part, ast.Attribute))
    return any(self_path(part, parameters[0].arg) in landmarks for part in attributes)


def refusal(
    spec: Spec,
    code: str,
    message: str,
    where: Path,
    help_lines: tuple[str, ...] = (),
    shown: Label | None = None,
) -> SpecError:
    """Builds the error of one mistake.

    Args:
        spec: Holds the text that the message points at.
        code: The diagnostic's code.
        message: What was found.
        where: What part of the spec it is about.
        help_lines: What to do.
        shown: Where in the model it shows.
    """
    labels = [spec.document.label("named here", *where), *([shown] if shown else [])]
    return SpecError([Diagnostic(code, message, tuple(labels), help_lines)])


def function_label(function: Any, text: str) -> Label | None:
    """A label on the definition of a function, where its source can be read."""
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType) or function.__module__ not in sys.modules:
        return None
    node = find_readable(function)
    if node is None:
        return None
    return source_file(sys.modules[function.__module__], function.__code__.co_filename).label(node, text)
