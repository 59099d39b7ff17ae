"""resolve: spec + live module -> the source of its forward and of every module on the way to the first norm.

Touches the live model. It reads classes and source files, runs nothing, and keeps nothing alive but the
functions themselves.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import torch

from teaspec.compiler.analysis.effects.summaries import draws_in, settles_in, stores_in, summaries_of
from teaspec.compiler.analysis.loops.astray import looked_up_by_name
from teaspec.compiler.analysis.source.absent import absent_names, none_names
from teaspec.compiler.analysis.source.definitions import (
    find_readable,
    syntax_tree,
)
from teaspec.compiler.analysis.source.functions_read import forward_of
from teaspec.compiler.analysis.source.methods import (
    function_label,
    function_source,
    refusal,
    with_overridden,
)
from teaspec.compiler.forms.called import CalledName, Method, MethodName, Overridden
from teaspec.compiler.forms.functions import (
    FindReplaced,
    find_replaced,
)
from teaspec.compiler.forms.paths import first_of, names_of, outer_paths
from teaspec.compiler.forms.source import FunctionSource, ModelSource, ModuleSource, NormPath, SourceFile
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.forms.summary import CallSummary
from teaspec.compiler.report import SpecError, did_you_mean, what_there_is


def resolve(spec: Spec, module: torch.nn.Module, find: FindReplaced = find_replaced) -> ModelSource:
    """Finds the source that the spec's landmarks lie in.

    Args:
        spec: A checked spec.
        module: A live instance of the model. Its class, the classes on the way to the first norm, and what was set on
            these modules in place of their classes' methods decide.
        find: Gives the forward that was set on a module in place of its class's.

    Returns:
        The syntax trees of the model's forward and of each module along the norm path.

    Raises:
        SpecError: `model-mismatch`, `unknown-forward-method`, `unknown-norm-path`, `norm-outside-first-loop`,
            `opaque-decorator`, `replaced-forward` or `no-source`.
    """
    cls = type(module)
    ancestors = {ancestor.__name__ for ancestor in cls.__mro__}
    if not ancestors & {spec.class_name, *spec.aliases}:
        message = f"the spec is for `{spec.class_name}`, the module is a `{cls.__name__}`"
        raise refusal(spec, "model-mismatch", message, ("model",))
    if not callable(getattr(cls, spec.forward, None)):
        methods = [name for name, value in inspect.getmembers(cls, inspect.isfunction)]
        message = f"`{cls.__name__}` has no method `{spec.forward}`"
        raise refusal(spec, "unknown-forward-method", message, ("forward",), did_you_mean(spec.forward, methods))
    model = module_source(spec, module, spec.forward, ("model",), find)
    is_entry = spec.forward == "forward"
    _refuse_blocks_by_name(spec, module, model)
    entry = model.forward if is_entry else function_source(spec, module, "forward", ("model",), find)
    return ModelSource(model, entry, _norm_path(spec, module, find), None if is_entry else Method(spec.forward))


def _refuse_blocks_by_name(spec: Spec, module: torch.nn.Module, model: ModuleSource) -> None:
    """Refuses a spec whose list of blocks does not exist because the blocks are attributes of their own."""
    loop, found = spec.blocks.loops[0], looked_up_by_name(model)
    if found is None or first_of(loop) in dict(module.named_children()):
        return
    function, node = found
    message = f"there is no `self.{loop}` in `{model.class_name}`, which looks up its blocks by their names"
    shown = function.file.label(node, "a spec names lists of blocks, and no list holds these")
    advice = ("keep the blocks in a `ModuleList` and iterate that",)
    raise refusal(spec, "unknown-block-loop", message, ("blocks", "loops", 0), advice, shown)


def block_structure(spec: Spec, module: torch.nn.Module) -> tuple[object, ...]:
    """What an extractor depends on besides the model's class: what its submodules are, above all on the norm path."""
    key: list[object] = [_matching_children(module, matches) for matches in (_draws, _keeps_state, _is_unsettled)]
    key.append(tuple((name, type(child), getattr(child, "inplace", False)) for name, child in module.named_children()))
    try:
        path = _norm_path_modules(spec, module)
    except SpecError:
        return ()
    key += [none_names(module), _is_last(module, path[0], path[1])]
    for frame in path[2]:
        key += [type(frame), none_names(frame)]
        key.append(tuple((name, type(child)) for name, child in frame.named_modules()))
    return tuple(key)


_LISTS = (torch.nn.ModuleList, torch.nn.ModuleDict, torch.nn.Sequential)


def _norm_path_modules(
    spec: Spec, module: torch.nn.Module
) -> tuple[str, str, tuple[torch.nn.Module, ...], tuple[str, ...]]:
    named = max({*spec.blocks.loops} & {*outer_paths(spec.norm)[:-1]}, key=len, default="")
    parts = names_of(spec.norm)
    container, depth = module, 0
    while depth < len(parts) - 2 and (depth < len(names_of(named)) if named else not isinstance(container, _LISTS)):
        container = _descend(spec, container, [parts[depth]], depth > 0)
        depth += 1
    loop, index, steps = ".".join(parts[:depth]), parts[depth], tuple(parts[depth + 1 :])
    items = dict(container.named_children())
    if index not in items:
        message = f"`{loop}` of this `{type(module).__name__}` holds no block `{index}`"
        help_lines = (f"it holds {', '.join(list(items)[:8]) or 'no block at all'}",)
        raise refusal(spec, "unknown-norm-path", message, ("norm",), help_lines)
    frames, called, path = [items[index]], list[str](), ""
    for step in steps[:-1]:
        found = _descend(spec, frames[-1], [*names_of(path), step] if path else [step])
        path = f"{path}.{step}".lstrip(".")
        # Nobody calls a module without a forward of its own: who holds it calls what it holds.
        if type(found).forward is not torch.nn.Module.forward:
            frames, called, path = [*frames, found], [*called, path], ""
    path = f"{path}.{steps[-1]}".lstrip(".")
    _descend(spec, frames[-1], names_of(path))
    return loop, index, tuple(frames), (*called, path)


def _norm_path(spec: Spec, module: torch.nn.Module, find: FindReplaced) -> NormPath:
    loop, index, frames, steps = _norm_path_modules(spec, module)
    sources = tuple(module_source(spec, frame, "forward", ("norm",), find) for frame in frames)
    is_last = _is_last(module, loop, index)
    if spec.signal != "attention":
        return NormPath(loop, index, steps, sources, is_last=is_last)
    parameters = inspect.signature(type(frames[-1].get_submodule(steps[-1])).forward).parameters
    return NormPath(loop, index, steps, sources, attention_input=[*parameters][1], is_last=is_last)


def _is_last(module: torch.nn.Module, loop: str, index: str) -> bool:
    """Whether a list of several blocks, which may be iterated from its end, ends with the block `index`."""
    names = [name for name, _ in module.get_submodule(loop).named_children()]
    return len(names) > 1 and names[-1] == index


def _descend(spec: Spec, start: torch.nn.Module, names: list[str], inside: bool = True) -> torch.nn.Module:
    current = start
    for name in names:
        children = dict(current.named_children())
        if name not in children:
            message = f"`{type(current).__name__}` has no submodule `{name}`"
            title = f"the forward of `{type(current).__name__}`"
            shown = function_label(type(current).forward, title) if inside else None
            help_lines = did_you_mean(name, children) or what_there_is(children, "submodules")
            raise refusal(spec, "unknown-norm-path", message, ("norm",), help_lines, shown)
        current = children[name]
    return current


def module_source(
    spec: Spec,
    module: torch.nn.Module,
    method: str,
    where: tuple[str | int, ...] = ("model",),
    find: FindReplaced = find_replaced,
) -> ModuleSource:
    """Finds the source of one module.

    Args:
        spec: The spec, for messages.
        module: A live instance.
        method: The method that is its forward.
        where: What part of the spec names it.
        find: Gives the forward that was set on a module in place of its class's.

    Raises:
        SpecError: `opaque-decorator`, `replaced-forward`, `no-source` or `async-forward`.
    """
    cls = type(module)
    forward = function_source(spec, module, method, where, find)
    files = {forward.file.path, *_file_of(cls)}
    methods: dict[MethodName, FunctionSource] = {}
    for name, value in inspect.getmembers(cls, callable):
        # What torch.nn.Module and the mixins bring is no part of a forward unless the model's own file defines it.
        if isinstance(inspect.unwrap(value), FunctionType) and files & {_file_of_function(value), *_file_of(cls, name)}:
            try:
                methods[name] = function_source(spec, module, name, where, find)
            except SpecError:
                continue  # not readable: calls to it stay opaque calls
    methods = with_overridden(spec, cls, methods, where)
    own = methods.get(method)
    forward = own if own is not None and own.node is forward.node else forward
    children = {path: _has_matrix(child) for path, child in module.named_modules() if path}
    random = _matching_children(module, _draws)
    nodes = {name: source.node for name, source in methods.items()}
    above = [source.file for name, source in methods.items() if isinstance(name, Overridden)]
    return ModuleSource(
        class_name=cls.__name__,
        forward=forward,
        methods=methods,
        summaries={**_summaries([forward.file, *above], nodes), **_fresh_children(module)},
        children=children,
        random_children=random,
        stateful_children=_matching_children(module, _keeps_state),
        unsettled_children=_matching_children(module, _is_unsettled),
        absent=absent_names(module, nodes),
    )


def _fresh_children(module: torch.nn.Module) -> dict[CalledName, CallSummary]:
    """Submodules of torch's own that compute a new tensor, whatever they are given."""
    fresh: dict[CalledName, CallSummary] = {}
    for name, child in module.named_children():
        makes_new = isinstance(child, _MAKE_NEW) and not getattr(child, "inplace", False)
        if makes_new and type(child).forward in {cls.forward for cls in type(child).__mro__ if cls in _MAKE_NEW}:
            fresh[Method(name)] = CallSummary(fresh=True)
    return fresh


_MAKE_NEW = (torch.nn.Linear, torch.nn.LayerNorm, torch.nn.RMSNorm, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def _summaries(
    files: Sequence[SourceFile], methods: Mapping[MethodName, ast.FunctionDef]
) -> dict[CalledName, CallSummary]:
    """What is known of methods, and of the functions of their files; of one name in several files, of all of them."""
    plain: dict[str, list[ast.FunctionDef]] = {}
    paths = dict.fromkeys((file.path, file.module) for file in files)
    spaces = {path: vars(sys.modules[module]) for path, module in paths}
    for path, space in spaces.items():
        for written in syntax_tree(path).body:
            node = _node_of(space.get(written.name), written) if isinstance(written, ast.FunctionDef) else None
            if node is not None and node not in plain.setdefault(node.name, []):
                plain[node.name].append(node)
    bound = {name: {id(space[name]) for space in spaces.values() if name in space} for name in plain}
    # What a name is bound to in one of the modules, and is not known, is not what it is bound to in the others.
    return summaries_of(methods, {name: nodes for name, nodes in plain.items() if len(bound[name]) <= len(nodes)})


def _node_of(function: Any, written: ast.FunctionDef) -> ast.FunctionDef | None:
    """The definition of what a name of a module is bound to now; None where that cannot be read."""
    function = inspect.unwrap(function) if callable(function) else None
    return find_readable(function) if isinstance(function, FunctionType) else written


def _file_of_function(function: Callable[..., Any]) -> str:
    path: str = inspect.unwrap(function).__code__.co_filename
    return path


def _file_of(cls: type, name: str = "__module__") -> set[str]:
    """The file of a class; or of the one of its ancestors that has an attribute."""
    owner = next((ancestor for ancestor in cls.__mro__ if name in vars(ancestor)), cls)
    path = getattr(sys.modules.get(owner.__module__), "__file__", None)
    return set() if path is None else {path}


def _has_matrix(module: torch.nn.Module) -> bool:
    return any(parameter.ndim >= 2 for parameter in module.parameters())


def _matching_children(module: torch.nn.Module, matches: Callable[[torch.nn.Module], bool]) -> frozenset[str]:
    """The paths of submodules that match, or hold one that does."""
    found: set[str] = set()
    for path, child in module.named_modules():
        if path and path not in found and matches(child):
            found.update(outer_paths(path))
    return frozenset(found)


def _draws(module: torch.nn.Module) -> bool:
    if isinstance(module, _DROPOUTS):
        return module.p > 0
    node = forward_of(module)
    return node is not None and draws_in(node)


def _keeps_state(module: torch.nn.Module) -> bool:
    node = forward_of(module)
    return node is not None and stores_in(node)


def _is_unsettled(module: torch.nn.Module) -> bool:
    node = forward_of(module)
    return node is not None and stores_in(node) and not settles_in(node)


_DROPOUTS = (
    torch.nn.Dropout, torch.nn.Dropout1d, torch.nn.Dropout2d, torch.nn.Dropout3d,
    torch.nn.AlphaDropout, torch.nn.FeatureAlphaDropout,
)  # fmt: skip
