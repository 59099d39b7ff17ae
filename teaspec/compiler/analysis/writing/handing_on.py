"""A forward that hands a call on to the method that holds its block loops: by `return`, or going on behind it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from teaspec.compiler.analysis.effects.statements import effects_of, unknown_syntax
from teaspec.compiler.analysis.flow.dataflow import definitely_assigned, parameter_names
from teaspec.compiler.analysis.flow.search import unanalysable, without_docstring
from teaspec.compiler.analysis.loops.loops import find_loops, method_name
from teaspec.compiler.analysis.syntax.names import called_name, super_attribute
from teaspec.compiler.analysis.syntax.rewrite import dispatching, is_dispatch
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.called import Above, CalledName, MethodName
from teaspec.compiler.forms.places import local_names
from teaspec.compiler.forms.program import Function, GeneratedNames
from teaspec.compiler.forms.source import FunctionSource, ModelSource


def handed_above(
    function: FunctionSource, methods: Mapping[MethodName, FunctionSource], loops: Sequence[str]
) -> tuple[CalledName, FunctionSource] | None:
    """Finds the overridden method that holds the block loops, where a function has none and goes on in that.

    It returns what that gives, or assigns it and goes on behind it (`goes_on_behind`).

    Args:
        function: Overrides the method that is looked for.
        methods: The methods of its module.
        loops: The lists of blocks.

    Returns:
        How the function calls it, and the method; None where there is none.
    """
    found = [site for name in loops for site in find_loops(function.node, name, function, methods)]
    returned = [node.value.func for node in walk(function.node)
                if isinstance(node, ast.Return) and isinstance(node.value, ast.Call)]  # fmt: skip
    called = {called_name(f, function.self_name): method_name(f, function) for f in returned if super_attribute(f)}
    parted = goes_on_behind(function) if not called else None
    if parted is not None and isinstance(parted.value, ast.Call):
        called = {called_name(parted.value.func, function.self_name): method_name(parted.value.func, function)}
    if len(called) != 1 or any(site.function.node is function.node for site in found):
        return None
    (above, key), *_ = called.items()
    method = None if key is None else methods.get(key)
    holds = method is not None and any(find_loops(method.node, name, method, methods) for name in loops)
    return (above, method) if above is not None and method is not None and holds else None


def goes_on_behind(function: FunctionSource) -> ast.Assign | None:
    """Finds the statement of a function that assigns what an overridden method gives, where it goes on behind it.

    What stands before and what stands behind it then are functions of their own: what is read behind it is surely
    bound before, and nothing else holds on to names that both bind.

    Args:
        function: Calls the overridden method by `super()`.

    Returns:
        One of the statements of its body; None where there is none, or where it cannot be parted there.
    """
    node, self_name = function.node, function.self_name
    calls = [part for part in walk(node) if isinstance(part, ast.Call) and super_attribute(part.func)]
    assigning = [s for s in node.body if isinstance(s, ast.Assign) and s.value in calls]
    if len(calls) != 1 or not assigning or unknown_syntax(node) or any(True for _ in unanalysable(node)):
        return None
    at = node.body.index(assigning[0])
    each = [effects_of(part, self_name=self_name) for part in node.body]
    assigned = definitely_assigned(each[: at + 1], parameter_names(node.args))
    needed = local_names(effects_of(node.body[at + 1 :], self_name=self_name).reads) & _locals(function)
    if any(one.captures for one in each) or not needed - {self_name} <= assigned:
        return None
    return assigning[0]


def handing_on(source: ModelSource, names: GeneratedNames) -> tuple[Function, Function | None] | None:
    """The functions of a forward that hands on to the method that is cut.

    Args:
        source: The model's source, whose `entry` is that forward.
        names: The names that the extractor adds.

    Returns:
        The forward up to where it hands on, and what it does behind that, if anything; None where it does not.
    """
    entry, handed_on = source.entry, source.handed_on
    parted = goes_on_behind(entry) if isinstance(handed_on, Above) else None
    returns = [node.value for node in walk(entry.node) if isinstance(node, ast.Return)]
    if parted is None and not any(is_dispatch(value, handed_on, entry.self_name) for value in returns):
        return None
    body, behind = without_docstring(entry.node.body), None
    if parted is not None:
        at = body.index(parted)
        behind = _behind(entry, parted, body[at + 1 :], names)
        body = [*body[:at], ast.copy_location(ast.Return(parted.value), parted)]
    left = [dispatching(s, names.finished, handed_on, names.handed_on, entry.self_name) for s in body]
    if behind is not None:
        left[-1] = _going_on(left[-1], behind, entry.self_name, names)
    doc = f"{entry.title}, up to {source.model.forward.title}."
    parameters = tuple(parameter_names(entry.node.args))
    return Function(names.dispatch, parameters, tuple(left), entry, doc, entry.node.args), behind


def _behind(entry: FunctionSource, parted: ast.Assign, rest: Sequence[ast.stmt], names: GeneratedNames) -> Function:
    """What a forward does behind the statement that assigns what it was given; its last parameter is that."""
    given = ast.copy_location(ast.Assign(parted.targets, ast.Name(names.result, ast.Load())), parted)
    body = [ast.fix_missing_locations(given), *rest]
    read = local_names(effects_of(body, self_name=entry.self_name).reads) & _locals(entry)
    fixed = [*parameter_names(entry.node.args), *sorted(read)]
    needed = tuple(dict.fromkeys(name for name in fixed if name in read and name != entry.self_name))
    doc = f"What {entry.title} does behind what it goes on in."
    return Function(names.behind, (*needed, names.result), tuple(body), entry, doc)


def _going_on(returned: ast.stmt, behind: Function, self_name: str, names: GeneratedNames) -> ast.stmt:
    """`return HandedOn(...).then(partial(behind, self, ...))`."""
    assert isinstance(returned, ast.Return) and returned.value is not None
    given = [ast.Name(name, ast.Load()) for name in (behind.name, self_name, *behind.parameters[:-1])]
    then = ast.Call(ast.Name(names.partial, ast.Load()), list(given), [])
    made = ast.Call(ast.Attribute(returned.value, "then", ast.Load()), [then], [])
    return ast.fix_missing_locations(ast.copy_location(ast.Return(made), returned))


def _locals(function: FunctionSource) -> set[str]:
    scoped = effects_of(function.node.body, self_name=function.self_name).scoped
    return {function.self_name, *parameter_names(function.node.args), *scoped}
