"""Def-use over the statements of a function body: which definition a read sees, what may share an object."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from teaspec.compiler.analysis.effects.containers import own_containers
from teaspec.compiler.analysis.effects.effects import Effects
from teaspec.compiler.analysis.effects.items import item_names
from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.syntax.names import self_path
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.places import Attribute, Local, Place, Submodule, local_names
from teaspec.compiler.forms.source import FunctionSource, ModuleSource

PARAMETER = -1
"""The definition that a parameter has before the first statement."""


def parameter_names(arguments: ast.arguments) -> list[str]:
    """All parameters, the module itself (the first) left out."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    stars = [a for a in (arguments.vararg, arguments.kwarg) if a]
    return [a.arg for a in [*every, *stars]][1:]


@dataclass(frozen=True)
class Reader:
    """Reads the effects of statements of one function of one module.

    Attributes:
        module: The module that the function belongs to.
        function: Whose statements they are; what it calls itself decides what `self.x` is.
        locals: Its local names: parameters and whatever it binds.
        containers: Those of them that hold containers of its own.
        items: Those of them that hold nothing but items of a list of submodules, each with the path of that.
    """

    module: ModuleSource
    function: FunctionSource
    locals: frozenset[str]
    containers: frozenset[str] = frozenset()
    items: Mapping[str, str] = field(default_factory=dict)
    _read: dict[int, tuple[ast.stmt, Effects]] = field(default_factory=dict, repr=False, compare=False)
    """Effects that were read before, by the statement's identity; with the statement, so that it stays alive."""

    @classmethod
    def of(cls, module: ModuleSource, function: FunctionSource) -> Reader:
        """A reader for a function of a module."""
        bound = effects_of(function.node.body, module.summaries, function.self_name).binds
        names = frozenset(parameter_names(function.node.args)) | local_names(bound)
        own = own_containers(function.node, module.summaries, function.self_name)
        return cls(module, function, names, own, item_names(function, module.children))

    def knowing(self, names: Iterable[str]) -> Reader:
        """A reader that takes more names for local ones."""
        return Reader(self.module, self.function, self.locals.union(names), self.containers, self.items)

    def effects(self, statements: ast.stmt | Iterable[ast.stmt]) -> Effects:
        """The effects of statements on local names and attributes of the model.

        Submodules that draw random numbers count as random.
        """
        if not isinstance(statements, ast.stmt):
            return reduce(Effects.then, (self.effects(statement) for statement in statements), Effects())
        if id(statements) not in self._read:
            self._read[id(statements)] = (statements, self._effects(statements))
        return self._read[id(statements)][1]

    def _effects(self, statement: ast.stmt) -> Effects:
        effects = effects_of(statement, self.module.summaries, self.function.self_name)
        called = self.called_children([statement])
        draws = effects.random or bool((called | self.called_items(statement)) & self.module.random_children)
        pairs = frozenset((a, b) for a, b in effects.aliases if self._known(a) and self._known(b))
        return replace(
            effects,
            reads=self._ours(effects.reads),
            # A submodule may keep state, so two statements that call the same one stay in their order.
            binds=effects.binds | {Submodule(path) for path in called},
            changes=self._ours(effects.changes),
            captures=self._ours(effects.captures),
            aliases=pairs,
            random=draws,
        )

    def called_children(self, statements: Iterable[ast.stmt]) -> frozenset[str]:
        """The paths of the submodules that statements call."""
        return frozenset(
            path
            for statement in statements
            for node in walk(statement)
            if isinstance(node, ast.Call)
            and (path := self_path(node.func, self.function.self_name)) is not None
            and path in self.module.children
        )

    def called_items(self, statement: ast.stmt) -> frozenset[str]:
        """The paths of the lists whose items a statement calls by a local name."""
        calls = (node for node in (walk(statement) if self.items else ()) if isinstance(node, ast.Call))
        names = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
        return frozenset(self.items[name] for name in names & self.items.keys())

    def _known(self, place: Place) -> bool:
        return place in self.locals or isinstance(place, Attribute)

    def _ours(self, places: frozenset[Place]) -> frozenset[Place]:
        return frozenset(place for place in places if self._known(place))


class Aliases:
    """Which places may share an object, at any time in the function (flow-insensitive, so never too few)."""

    def __init__(self, effects: Iterable[Effects], containers: frozenset[str] = frozenset()) -> None:
        """Joins the alias pairs of all statements; `containers` are the function's own."""
        self._containers = containers
        self._parent: dict[Place, Place] = {}
        for one in effects:
            for a, b in one.aliases:
                self._parent[self._root(a)] = self._root(b)

    def _root(self, place: Place) -> Place:
        while (parent := self._parent.get(place, place)) != place:
            place = parent
        return place

    def closure(self, places: Iterable[Place]) -> frozenset[Place]:
        """The places and all that may share an object with one of them."""
        roots = {self._root(place) for place in places}
        if not roots:
            return frozenset()
        return frozenset(p for p in {*self._parent, *roots, *places} if self._root(p) in roots)

    def changed(self, places: Iterable[Place]) -> frozenset[Place]:
        """The places whose values may be changed by changing the objects of some in place."""
        filled = self._containers.intersection(places)
        return filled | self.closure({*places} - filled)


@dataclass(frozen=True)
class Definitions:
    """Reaching definitions of a straight run of statements.

    Attributes:
        before: For each statement, the definitions of each place that may reach it (indexes; PARAMETER for parameters).
        end: The same behind the last statement.
    """

    before: tuple[dict[Place, frozenset[int]], ...]
    end: dict[Place, frozenset[int]]

    @classmethod
    def of(cls, effects: Sequence[Effects], parameters: Iterable[str], aliases: Aliases) -> Definitions:
        """Computes them. A change in place counts as a further definition of every place that may share the object."""
        current: dict[Place, frozenset[int]] = {name: frozenset({PARAMETER}) for name in parameters}
        before = []
        for index, one in enumerate(effects):
            before.append(dict(current))
            own = frozenset({index})
            for place in one.binds | aliases.changed(one.changes):
                replaced = place in one.kills and place not in one.changes
                current[place] = own if replaced else current.get(place, frozenset()) | own
        return cls(tuple(before), current)


def definitely_assigned(effects: Iterable[Effects], parameters: Iterable[str]) -> frozenset[Local]:
    """The names that are bound on every way behind the statements."""
    assigned = set(parameters)
    for one in effects:
        assigned |= one.kills
        assigned -= one.unbinds
    return frozenset(assigned)
