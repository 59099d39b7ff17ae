"""resolve: spec + live module -> the source of its forward and of every module on the way to the first norm.

Touches the live model. It reads classes and source files, runs nothing, and keeps nothing alive but the
functions themselves.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import torch

from teaspec.compiler.analysis.absent import absent_names, none_names
from teaspec.compiler.analysis.calls import CallSummary
from teaspec.compiler.analysis.definitions import (
    find_definition,
    find_readable,
    owner_path,
    source_file,
    syntax_tree,
    wrappers_of,
)
from teaspec.compiler.analysis.summaries import draws_in, stores_in, summaries_of
from teaspec.compiler.forms.source import FunctionSource, ModelSource, ModuleSource, NormPath, SourceFile
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.report import Diagnostic, Label, SpecError, did_you_mean, what_there_is


def resolve(spec: Spec, module: torch.nn.Module) -> ModelSource:
    """Find the source that the spec's landmarks lie in.

    Args:
        spec: A checked spec.
        module: A live instance of the model. Its class, and the classes on the way to the first norm, decide.

    Returns:
        The syntax trees of the model's forward and of each module along the norm path.

    Raises:
        SpecError: `model-mismatch`, `unknown-forward-method`, `unknown-norm-path`, `norm-outside-first-loop`,
            `opaque-decorator` or `no-source`.
    """
    cls = type(module)
    ancestors = {ancestor.__name__ for ancestor in cls.__mro__}
    if not ancestors & {spec.class_name, *spec.aliases}:
        message = f"the spec is for `{spec.class_name}`, the module is a `{cls.__name__}`"
        raise _error(spec, "model-mismatch", message, ("model",))
    if not callable(getattr(cls, spec.forward, None)):
        methods = [name for name, value in inspect.getmembers(cls, inspect.isfunction)]
        message = f"`{cls.__name__}` has no method `{spec.forward}`"
        raise _error(spec, "unknown-forward-method", message, ("forward",), did_you_mean(spec.forward, methods))
    model = module_source(spec, module, spec.forward, ("model",))
    entry = model.forward if spec.forward == "forward" else _function_source(spec, cls, "forward", ("model",))
    return ModelSource(model, entry, _norm_path(spec, module))


def block_structure(spec: Spec, module: torch.nn.Module) -> tuple[object, ...]:
    """What an extractor depends on besides the model's class: what its submodules are, above all on the norm path."""
    key: list[object] = [_matching_children(module, _draws), _matching_children(module, _keeps_state)]
    key.append(tuple((name, type(child), getattr(child, "inplace", False)) for name, child in module.named_children()))
    try:
        path = _norm_path_modules(spec, module)
    except SpecError:
        return ()
    key.append(none_names(module))
    for frame in path[2]:
        key += [type(frame), none_names(frame)]
        key.append(tuple((name, type(child)) for name, child in frame.named_modules()))
    return tuple(key)


_LISTS = (torch.nn.ModuleList, torch.nn.ModuleDict, torch.nn.Sequential)


def _norm_path_modules(
    spec: Spec, module: torch.nn.Module
) -> tuple[str, str, tuple[torch.nn.Module, ...], tuple[str, ...]]:
    named = max((name for name in spec.blocks.loops if spec.norm.startswith(name + ".")), key=len, default="")
    parts = spec.norm.split(".")
    container, depth = module, 0
    while depth < len(parts) - 2 and (depth < len(named.split(".")) if named else not isinstance(container, _LISTS)):
        container = _descend(spec, container, [parts[depth]], depth > 0)
        depth += 1
    loop, index, steps = ".".join(parts[:depth]), parts[depth], tuple(parts[depth + 1 :])
    items = dict(container.named_children())
    if index not in items:
        message = f"`{loop}` of this `{type(module).__name__}` holds no block `{index}`"
        help_lines = (f"it holds {', '.join(list(items)[:8]) or 'no block at all'}",)
        raise _error(spec, "unknown-norm-path", message, ("norm",), help_lines)
    frames, called, path = [items[index]], list[str](), ""
    for step in steps[:-1]:
        found = _descend(spec, frames[-1], [*path.split("."), step] if path else [step])
        path = f"{path}.{step}".lstrip(".")
        # Nobody calls a module without a forward of its own: who holds it calls what it holds.
        if type(found).forward is not torch.nn.Module.forward:
            frames, called, path = [*frames, found], [*called, path], ""
    path = f"{path}.{steps[-1]}".lstrip(".")
    _descend(spec, frames[-1], path.split("."))
    return loop, index, tuple(frames), (*called, path)


def _norm_path(spec: Spec, module: torch.nn.Module) -> NormPath:
    loop, index, frames, steps = _norm_path_modules(spec, module)
    sources = tuple(module_source(spec, frame, "forward", ("norm",)) for frame in frames)
    if spec.signal != "attention":
        return NormPath(loop, index, steps, sources)
    parameters = inspect.signature(type(frames[-1].get_submodule(steps[-1])).forward).parameters
    return NormPath(loop, index, steps, sources, attention_input=[*parameters][1])


def _descend(spec: Spec, start: torch.nn.Module, names: list[str], inside: bool = True) -> torch.nn.Module:
    current = start
    for name in names:
        children = dict(current.named_children())
        if name not in children:
            message = f"`{type(current).__name__}` has no submodule `{name}`"
            title = f"the forward of `{type(current).__name__}`"
            shown = _function_label(type(current).forward, title) if inside else None
            help_lines = did_you_mean(name, children) or what_there_is(children, "submodules")
            raise _error(spec, "unknown-norm-path", message, ("norm",), help_lines, shown)
        current = children[name]
    return current


def module_source(
    spec: Spec, module: torch.nn.Module, method: str, where: tuple[str | int, ...] = ("model",)
) -> ModuleSource:
    """Find the source of one module.

    Args:
        spec: The spec, for messages.
        module: A live instance.
        method: The method that is its forward.
        where: What part of the spec names it.

    Raises:
        SpecError: `opaque-decorator`, `no-source` or `async-forward`.
    """
    cls = type(module)
    forward = _function_source(spec, cls, method, where)
    methods: dict[str, FunctionSource] = {}
    for name, value in inspect.getmembers(cls, callable):
        # What torch.nn.Module and the mixins bring is no part of a forward unless the model's own file defines it.
        if isinstance(inspect.unwrap(value), FunctionType) and _defined_beside(value, forward):
            try:
                methods[name] = _function_source(spec, cls, name, where)
            except SpecError:
                continue  # not readable: calls to it stay opaque calls
    children = {path: _has_matrix(child) for path, child in module.named_modules() if path}
    random = _matching_children(module, _draws)
    nodes = {name: source.node for name, source in methods.items()}
    return ModuleSource(
        class_name=cls.__name__,
        forward=forward,
        methods=methods,
        summaries={**_summaries(forward.file, nodes), **_fresh_children(module)},
        children=children,
        random_children=random,
        stateful_children=_matching_children(module, _keeps_state),
        absent=absent_names(module, nodes),
    )


def _fresh_children(module: torch.nn.Module) -> dict[str, CallSummary]:
    """Submodules of torch's own that compute a new tensor, whatever they are given."""
    fresh: dict[str, CallSummary] = {}
    for name, child in module.named_children():
        makes_new = isinstance(child, _MAKE_NEW) and not getattr(child, "inplace", False)
        if makes_new and type(child).forward in {cls.forward for cls in type(child).__mro__ if cls in _MAKE_NEW}:
            fresh[f"self.{name}"] = CallSummary(fresh=True)
    return fresh


_MAKE_NEW = (torch.nn.Linear, torch.nn.LayerNorm, torch.nn.RMSNorm, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def _summaries(file: SourceFile, methods: Mapping[str, ast.FunctionDef]) -> dict[str, CallSummary]:
    plain = {node.name: node for node in syntax_tree(file.path).body if isinstance(node, ast.FunctionDef)}
    return summaries_of(methods, plain)


def _defined_beside(function: Callable[..., Any], forward: FunctionSource) -> bool:
    path: str = inspect.unwrap(function).__code__.co_filename
    return path == forward.function.__code__.co_filename


def _has_matrix(module: torch.nn.Module) -> bool:
    return any(parameter.ndim >= 2 for parameter in module.parameters())


def _matching_children(module: torch.nn.Module, matches: Callable[[torch.nn.Module], bool]) -> frozenset[str]:
    """The paths of submodules that match, or hold one that does."""
    found: set[str] = set()
    for path, child in module.named_modules():
        if path and path not in found and matches(child):
            parts = path.split(".")
            found |= {".".join(parts[: depth + 1]) for depth in range(len(parts))}
    return frozenset(found)


def _draws(module: torch.nn.Module) -> bool:
    if isinstance(module, _DROPOUTS):
        return module.p > 0
    node = _forward_of(module)
    return node is not None and draws_in(node)


def _keeps_state(module: torch.nn.Module) -> bool:
    node = _forward_of(module)
    return node is not None and stores_in(node)


def _forward_of(module: torch.nn.Module) -> ast.FunctionDef | None:
    """The forward of a submodule, where its source can be read; torch's own are known and not read."""
    forward = inspect.unwrap(type(module).forward)
    if type(module).__module__.startswith("torch.nn") or not isinstance(forward, FunctionType):
        return None
    return find_readable(forward)


_DROPOUTS = (
    torch.nn.Dropout, torch.nn.Dropout1d, torch.nn.Dropout2d, torch.nn.Dropout3d,
    torch.nn.AlphaDropout, torch.nn.FeatureAlphaDropout,
)  # fmt: skip


def _function_source(spec: Spec, cls: type, name: str, where: tuple[str | int, ...]) -> FunctionSource:
    function = inspect.unwrap(getattr(cls, name))
    title = f"{cls.__name__}.{name}"
    if not isinstance(function, FunctionType):
        raise _error(spec, "no-source", f"`{title}` is not a Python function", where)
    if function.__name__ != name:
        message = f"`{title}` is wrapped by `{function.__qualname__}`, which hides it (no `functools.wraps`)"
        raise _error(spec, "opaque-decorator", message, where, shown=_function_label(function, "the wrapper"))
    try:
        found = find_definition(function)
    except (OSError, SyntaxError) as error:
        raise _error(spec, "no-source", f"the source of `{title}` cannot be read: {error}", where) from error
    if found is None:
        raise _error(spec, "no-source", f"the source of `{title}` cannot be found in its file", where)
    node, owner = found
    if isinstance(node, ast.AsyncFunctionDef):
        raise _error(spec, "async-forward", f"`{title}` is a coroutine", where, shown=_function_label(function, "here"))
    wrappers = sum(1 for _ in wrappers_of(getattr(cls, name)))
    if wrappers > len(node.decorator_list):
        message = f"`{title}` was replaced or wrapped after its class was made"
        raise _error(spec, "opaque-decorator", message, where, shown=_function_label(function, "what was wrapped"))
    module = sys.modules.get(function.__module__)
    if module is None or vars(module) is not function.__globals__:
        raise _error(spec, "no-source", f"`{title}` comes from `{function.__module__}`, which is not imported", where)
    return FunctionSource(
        node=node,
        file=source_file(module, function.__code__.co_filename),
        owner=owner,
        owner_path=owner_path(module, function),
        free=frozenset(function.__code__.co_freevars),
        function=function,
    )


def _error(
    spec: Spec,
    code: str,
    message: str,
    where: tuple[str | int, ...],
    help_lines: tuple[str, ...] = (),
    shown: Label | None = None,
) -> SpecError:
    labels = [spec.document.label("named here", *where), *([shown] if shown else [])]
    return SpecError([Diagnostic(code, message, tuple(labels), help_lines)])


def _function_label(function: Any, text: str) -> Label | None:
    """A label on the definition of a function, where its source can be read."""
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType) or function.__module__ not in sys.modules:
        return None
    node = find_readable(function)
    if node is None:
        return None
    return source_file(sys.modules[function.__module__], function.__code__.co_filename).label(node, text)
