"""Which parameters the arguments of a call are made of: a function is read from its first statement on.

What merely describes a value (its shape, its dtype) is not the value: `timestep.to(sample.dtype)` is made of `timestep`
alone. Branches are joined, helper methods are read with what they are given.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import zip_longest

from teaspec.compiler.analysis.syntax.names import last_name, self_attribute, self_path
from teaspec.compiler.forms.called import MethodName
from teaspec.compiler.forms.places import Place
from teaspec.compiler.forms.source import FunctionSource

_DESCRIBING = frozenset({"shape", "dtype", "device", "ndim", "is_cuda", "requires_grad", "layout"})
_DESCRIBING_CALLS = frozenset(
    "size dim ndimension numel element_size stride is_floating_point len isinstance hasattr type callable issubclass "
    "zeros_like ones_like empty_like rand_like randn_like new_zeros new_ones new_empty zeros ones empty arange".split()
)
_OWN_VALUE = frozenset(
    "to type type_as expand expand_as view view_as reshape reshape_as repeat repeat_interleave unsqueeze squeeze "
    "flatten unflatten permute transpose contiguous chunk split unbind broadcast_to movedim float half double long "
    "int bool cpu cuda detach clone".split()
)
"""Methods whose result is the value of their object, whatever they are given besides."""

_MAX_DEPTH = 8
"""How many helper methods deep it is read; what lies deeper counts as made of all that it is given."""


@dataclass(frozen=True)
class Made:
    """What a value is made of.

    Attributes:
        names: The parameters, in the order in which they come in.
        parts: The same for each item, where the value is a tuple or list of known length.
        spread: Whether the value is the mapping of a function's `**` parameter, whose items are arguments.
    """

    names: tuple[str, ...] = ()
    parts: tuple[Made, ...] | None = None
    spread: bool = False

    def joined(self, other: Made) -> Made:
        """What a value is made of that may be either, or is made of both."""
        names = tuple(dict.fromkeys((*self.names, *other.names)))
        if self.parts is None or other.parts is None or len(self.parts) != len(other.parts):
            return Made(names)
        return Made(names, tuple(a.joined(b) for a, b in zip(self.parts, other.parts, strict=True)))


_NOTHING = Made()


@dataclass(frozen=True)
class Argument:
    """An argument of a call.

    Attributes:
        keyword: Its name; None where it is passed by its place, or spread.
        made: What it is made of.
        stars: The stars in front of it.
    """

    keyword: str | None
    made: Made
    stars: str = ""


def arguments_of(
    calls: Collection[ast.Call],
    statements: Sequence[ast.stmt],
    function: FunctionSource,
    methods: Mapping[MethodName, FunctionSource],
) -> list[list[Argument]]:
    """What the arguments of calls are made of.

    Args:
        calls: The calls. Each lies in one of the statements.
        statements: Statements that a function begins with.
        function: The function, whose parameters are named.
        methods: The methods of its module, which are read where they are called.

    Returns:
        The arguments of each call, in the order in which the calls are reached.
    """
    tracer = _Tracer(methods, {id(call) for call in calls})
    tracer.run(statements, _parameters(function.node.args), function.self_name)
    return tracer.found


def bound(parameters: ast.arguments, arguments: Sequence[Argument]) -> dict[str, Made]:
    """What a method's parameters are made of in a call.

    Args:
        parameters: The method's parameters, the module first.
        arguments: The call's arguments.
    """
    positional = [argument.arg for argument in [*parameters.posonlyargs, *parameters.args][1:]]
    every = [*positional, *(argument.arg for argument in parameters.kwonlyargs)]
    known: dict[str, Made] = {}
    left = list(positional)
    for argument in arguments:
        if argument.stars == "**":
            for name in every:
                # Names that a spread mapping brings along are arguments of whoever was given the mapping.
                brought = Made((name,)) if argument.made.spread else Made(argument.made.names)
                known.setdefault(name, brought)
        elif argument.stars == "*":
            given = argument.made.parts or tuple(Made(argument.made.names) for _ in left)
            known |= dict(zip(left, given, strict=False))
            left = left[len(given) :]
        elif argument.keyword is not None:
            known[argument.keyword] = argument.made
        elif left:
            known[left.pop(0)] = argument.made
    if parameters.kwarg is not None and any(argument.made.spread for argument in arguments):
        known[parameters.kwarg.arg] = Made(spread=True)
    return known


def _parameters(arguments: ast.arguments) -> dict[str, Made]:
    every = [*arguments.posonlyargs, *arguments.args][1:] + arguments.kwonlyargs
    names = {argument.arg: Made((argument.arg,)) for argument in every}
    if arguments.kwarg is not None:
        names[arguments.kwarg.arg] = Made(spread=True)
    return names


def _joined(made: Iterable[Made], first: Made = _NOTHING) -> Made:
    return reduce(Made.joined, (Made(one.names) for one in made), Made(first.names))


class _Tracer:
    def __init__(self, methods: Mapping[MethodName, FunctionSource], wanted: Collection[int]) -> None:
        self.methods, self.wanted = methods, wanted
        self.found: list[list[Argument]] = []
        self._depth = 0
        self._self = "self"
        self._known: dict[Place, Made] = {}
        self._returned: list[Made] = []

    def run(self, statements: Sequence[ast.stmt], known: Mapping[str, Made], self_name: str) -> Made:
        """Reads statements; gives what they return."""
        outer = (self._known, self._self, self._returned)
        self._known, self._self, self._returned = dict[Place, Made](known.items()), self_name, []
        self._suite(statements)
        returned = self._returned
        self._known, self._self, self._returned = outer
        return reduce(Made.joined, returned) if returned else _NOTHING

    # Statements

    def _suite(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assign):
            value = self._value(statement.value)
            for target in statement.targets:
                self._bind(target, value)
        elif isinstance(statement, ast.AnnAssign):
            if statement.value is not None:
                self._bind(statement.target, self._value(statement.value))
        elif isinstance(statement, ast.AugAssign):
            self._bind(statement.target, _joined([self._value(statement.target), self._value(statement.value)]))
        elif isinstance(statement, ast.Return):
            self._returned.append(self._value(statement.value) if statement.value is not None else _NOTHING)
        elif isinstance(statement, ast.If):
            self._value(statement.test)
            self._either(statement.orelse, statement.body)  # what was there before comes first
        elif isinstance(statement, (ast.For, ast.AsyncFor, ast.While)):
            self._loop(statement)
        elif isinstance(statement, (ast.With, ast.AsyncWith)):
            for item in statement.items:
                value = self._value(item.context_expr)
                if item.optional_vars is not None:
                    self._bind(item.optional_vars, value)
            self._suite(statement.body)
        elif isinstance(statement, ast.Try):
            self._either(statement.body, [s for handler in statement.handlers for s in handler.body])
            self._suite([*statement.orelse, *statement.finalbody])
        elif isinstance(statement, ast.Expr):
            self._value(statement.value)

    def _either(self, *suites: Sequence[ast.stmt]) -> None:
        before, ends = self._known, []
        for suite in suites:
            self._known = dict(before)
            self._suite(suite)
            ends.append(self._known)
        names = dict.fromkeys(name for end in ends for name in end)
        self._known = {name: reduce(Made.joined, (end[name] for end in ends if name in end)) for name in names}

    def _loop(self, loop: ast.For | ast.AsyncFor | ast.While) -> None:
        if isinstance(loop, ast.While):
            self._value(loop.test)
        else:
            self._bind(loop.target, Made(self._value(loop.iter).names))
        for _ in range(2):  # what the first turn binds, the second reads
            self._either([], loop.body)
        self._suite(loop.orelse)

    def _bind(self, target: ast.expr, value: Made) -> None:
        if isinstance(target, ast.Name):
            self._known[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            known = value.parts if value.parts is not None and len(value.parts) == len(target.elts) else ()
            starred = any(isinstance(element, ast.Starred) for element in target.elts)
            whole = Made(value.names)
            for element, part in zip_longest(target.elts, () if starred else known, fillvalue=None):
                assert element is not None
                self._bind(element, whole if part is None else part)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, Made(value.names))
        elif (attribute := self_attribute(target, self._self)) is not None:
            self._known[attribute] = value
        else:
            self._change(target, value)

    def _change(self, target: ast.AST, value: Made) -> None:
        """A value in an item or attribute of something makes a part of it."""
        while isinstance(target, (ast.Subscript, ast.Attribute)):
            target = target.value
        if isinstance(target, ast.Name) and target.id in self._known:
            self._known[target.id] = _joined([self._known[target.id], value])

    # Expressions

    def _value(self, node: ast.AST) -> Made:
        if isinstance(node, ast.Name):
            return self._known.get(node.id, _NOTHING)
        if isinstance(node, (ast.Tuple, ast.List)):
            parts = tuple(self._value(element) for element in node.elts)
            is_known = not any(isinstance(element, ast.Starred) for element in node.elts)
            return Made(_joined(parts).names, parts if is_known else None)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Subscript):
            return self._item(self._value(node.value), node.slice)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.NamedExpr):
            value = self._value(node.value)
            self._bind(node.target, value)
            return value
        if isinstance(node, ast.IfExp):
            self._value(node.test)
            return self._value(node.body).joined(self._value(node.orelse))
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            return self._comprehension(node)
        if isinstance(node, (ast.Lambda, ast.Compare)):
            return _NOTHING
        return _joined(self._value(child) for child in ast.iter_child_nodes(node))

    def _attribute(self, node: ast.Attribute) -> Made:
        attribute = self_attribute(node, self._self)
        if attribute is not None:
            return self._known.get(attribute, _NOTHING)
        value = self._value(node.value)
        return _NOTHING if node.attr in _DESCRIBING else Made(value.names)

    def _item(self, value: Made, index: ast.expr) -> Made:
        key = index.value if isinstance(index, ast.Constant) else None
        if value.spread and isinstance(key, str):
            return Made((key,))
        if value.parts is not None and isinstance(key, int) and -len(value.parts) <= key < len(value.parts):
            return value.parts[key]
        looked_up = index.elts if isinstance(index, ast.Tuple) else [index]
        return _joined((self._value(part) for part in looked_up if not isinstance(part, ast.Slice)), value)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Made:
        before = dict(self._known)
        for generator in node.generators:
            self._bind(generator.target, Made(self._value(generator.iter).names))
        made = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        value = _joined(self._value(part) for part in made)
        self._known = before
        return value

    def _call(self, node: ast.Call) -> Made:
        arguments = [
            Argument(None, self._value(a.value if isinstance(a, ast.Starred) else a), "*" * isinstance(a, ast.Starred))
            for a in node.args
        ]
        arguments += [Argument(k.arg, self._value(k.value), "**" * (k.arg is None)) for k in node.keywords]
        if id(node) in self.wanted:
            self.found.append(arguments)
        function = node.func
        path = self_path(function, self._self)
        if path is not None and path in self.methods and self._depth < _MAX_DEPTH:
            return self._method(self.methods[path], arguments)
        name = last_name(function)
        receiver = self._value(function.value) if isinstance(function, ast.Attribute) else _NOTHING
        if path is None and name in _DESCRIBING_CALLS:
            return _NOTHING
        if receiver.spread and name in {"get", "pop", "setdefault"} and node.args:
            return self._item(receiver, node.args[0])
        if path is None and receiver.names and name in _OWN_VALUE:
            return Made(receiver.names)
        value = _joined((argument.made for argument in arguments), receiver)
        if isinstance(function, ast.Attribute) and name.endswith("_") and not name.endswith("__"):
            self._change(function.value, value)
        return value

    def _method(self, method: FunctionSource, arguments: Sequence[Argument]) -> Made:
        self._depth += 1
        returned = self.run(method.node.body, bound(method.node.args, arguments), method.self_name)
        self._depth -= 1
        return returned
