"""What crosses from blocks to postlude: streams, values carried over; and values of this call, made again."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from teaspec.compiler.analysis.cut.again import Again, NotAgainError
from teaspec.compiler.analysis.cut.block_state import BlockState
from teaspec.compiler.analysis.effects.operations import FILLS
from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.effects.views import view_pairs, views_in
from teaspec.compiler.analysis.flow.dataflow import Reader, definitely_assigned, parameter_names
from teaspec.compiler.analysis.flow.origins import FIXED, Level, Origin
from teaspec.compiler.analysis.flow.search import simple_statements
from teaspec.compiler.analysis.flow.sharing import shared_outside_blocks, sharing
from teaspec.compiler.analysis.flow.trace import Tracer
from teaspec.compiler.analysis.flow.trace_values import State, ValueTracer, World
from teaspec.compiler.analysis.syntax.rewrite import renamed
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.paths import first_of
from teaspec.compiler.forms.places import Attribute, Place, attributes_in, local_names
from teaspec.compiler.forms.program import LiveValue


class StaleValueError(Exception):
    """A value of this call could only be taken over from an earlier one.

    Attributes:
        name: The name of the value.
        reason: Why it cannot be computed again.
        bound: The statement that binds or changes it.
        read: The statement behind the blocks that reads it.
    """

    def __init__(self, name: str, reason: str, bound: ast.stmt, read: ast.stmt) -> None:
        """Says which value, where it is bound and read, and why it cannot be computed again."""
        super().__init__(reason)
        self.name, self.reason, self.bound, self.read = name, reason, bound, read


@dataclass(frozen=True)
class Crossing:
    """What the postlude needs of the blocks.

    Attributes:
        live: The values that the blocks hand over, the hidden stream first.
        recomputed: What the postlude runs again of the blocks, for values that do not depend on what they compute.
        blocks: The statements of the blocks, without those that only the postlude needs.
        saves: Names that the recomputed statements read as they were when the blocks began, with a name for that value.
        apart: The names that only the recomputed statements know, those of `saves` among them.
        held: Attributes that the prelude sets, and statements of the blocks that may change what they hold.
    """

    live: tuple[LiveValue, ...]
    recomputed: tuple[ast.stmt, ...]
    blocks: tuple[ast.stmt, ...]
    saves: Mapping[str, str]
    apart: frozenset[str]
    held: Mapping[Attribute, ast.stmt]


@dataclass(frozen=True)
class Cut:
    """A forward, cut, and what is known of it.

    Attributes:
        reader: Reads effects in the forward.
        prelude: The statements before the blocks.
        blocks: The statements of the blocks.
        rest: The statements after them.
        loops: The lists of blocks.
        hidden: Name of the hidden stream.
        encoder: Name of the encoder stream, None where there is one stream only.
        taken: Names that must not be used for saved values.
        state: Finds reads of what blocks leave on themselves.
    """

    reader: Reader
    prelude: Sequence[ast.stmt]
    blocks: Sequence[ast.stmt]
    rest: Sequence[ast.stmt]
    loops: frozenset[str]
    hidden: str
    encoder: str | None
    taken: frozenset[str]
    state: BlockState


def crossing_values(cut: Cut) -> Crossing:
    """Finds what the statements after the blocks read of what the blocks bind or change.

    Args:
        cut: The forward.

    Raises:
        StaleValueError: They read a value that does not depend on what the blocks compute, so it belongs to this call,
            and it cannot be computed again with certainty.
    """
    return _Crossing(cut).found()


class _Crossing:
    def __init__(self, cut: Cut) -> None:
        self.cut, self.reader = cut, cut.reader
        self.effects = [self.reader.effects(statement) for statement in cut.blocks]
        self.before = [self.reader.effects(statement) for statement in cut.prelude]
        self.parameters = parameter_names(self.reader.function.node.args)
        self.bound = {name for one in self.effects for name in one.binds}
        self.assigned = definitely_assigned(self.before, self.parameters)
        self.assigned_behind = definitely_assigned([*self.before, *self.effects], self.parameters)
        self.views = view_pairs([*cut.prelude, *cut.blocks])
        self.arguments = set(self.parameters).difference(*(one.kills for one in self.before))
        self.changed = views_in(self.views, local_names(place for one in self.effects for place in one.changes))
        self.entry = self._entry()
        self.behind = self._traced(cut.blocks)
        everything = [*cut.prelude, *cut.blocks, *cut.rest]
        streams = frozenset(name for name in (cut.hidden, cut.encoder) if name)
        self.tracer = tracer = ValueTracer(self.world, self.reader.function.self_name, dict(self.behind))
        self.aliases = sharing(self.reader, everything, streams, tracer)
        # What shares an object only behind the blocks is not changed with it by them.
        self.aliases_in_blocks = sharing(self.reader, [*cut.prelude, *cut.blocks], streams, tracer)
        self.again = Again(self.reader, self._changed(), everything, cut.state)

    def found(self) -> Crossing:
        read = local_names(self.reader.effects(self.cut.rest).reads) if self.cut.rest else set[str]()
        wanted: set[str] = set()
        live: set[str] = set()
        for name in sorted(read & (self.bound | self.changed)):
            if self._is_untouched(name) or self._is_of_caller(name):
                continue
            if self._is_made_again(name):
                wanted.add(name)
            else:
                live.add(name)
        changed_elsewhere = self._changed_elsewhere()
        for place, statement in changed_elsewhere.items():
            if isinstance(place, str) and place in read:
                raise self._stale(place, "the blocks may change it in place under another name", statement)
        recomputed, needed = self.again.cut(self.cut.blocks, frozenset(wanted))
        left = self._left(recomputed, live)
        names = self._apart(recomputed, live, read - wanted - live)
        saves = self._saves(names, needed)
        recomputed = [renamed(statement, names) for statement in recomputed]
        held = {place: one for place, one in changed_elsewhere.items() if isinstance(place, Attribute)}
        return Crossing(self._live(live), tuple(recomputed), tuple(left), saves, frozenset(names.values()), held)

    # Where values come from

    def _world(self) -> World:
        module, function = self.reader.module, self.reader.function
        return World(self.cut.loops, module.stateful_children, module.summaries, function.file.modules)

    def _entry(self) -> State:
        """Where the values come from that names have when the blocks begin; what a call makes is called by its name."""
        self.world = self._world()
        state = {name: Origin(frozenset({Level.CALL})) for name in self.parameters}
        tracer = Tracer(self.world, self.reader.function.self_name, self.cut.prelude, state)
        tracer.run(self.cut.prelude)
        self.nested = tracer.nested
        for name, origin in self.world.attributes.items():
            self.world.attributes[name] = replace(origin, parts=frozenset({min(origin.level, Level.CALL)}))
        return {
            name: origin if origin.level is Level.FIXED else replace(_of_call(origin), parts=frozenset({name}))
            for name, origin in tracer.state.items()
        }

    def _traced(self, suite: Sequence[ast.stmt]) -> State:
        world = replace(self.world, attributes=dict(self.world.attributes))
        every = [*self.cut.prelude, *self.cut.blocks]
        tracer = Tracer(world, self.reader.function.self_name, every, dict(self.entry))
        tracer.nested = dict(self.nested)
        tracer.run(suite)
        return tracer.state

    def _is_untouched(self, name: str) -> bool:
        """Whether a name that the blocks bind surely holds, behind them, the object that it held before."""
        origin = self.behind.get(name, FIXED)
        return origin.parts == {name} and name in self.assigned and name != self.cut.hidden and name in self.bound

    def _is_made_again(self, name: str) -> bool:
        """Whether a value does not depend on what the blocks compute, so that the postlude makes it again."""
        origin = self.behind.get(name, FIXED)
        if name == self.cut.hidden:
            return False
        own = {name} if name in self.assigned else set()
        of_call = {part for part in origin.parts if isinstance(part, str) or part is Level.CALL} - own
        if origin.level is Level.BLOCKS:
            if of_call and name != self.cut.encoder:
                raise self._stale(name, "it is held together with what the blocks compute, or is one or the other")
            return False
        try:
            if name not in self.bound or name in self.again.changed:
                raise NotAgainError(self._binding(name), "the blocks change it in place")
            made, _ = self.again.cut(self.cut.blocks, frozenset({name}))
            if self._traced(made).get(name, FIXED).level is Level.BLOCKS:
                raise NotAgainError(self._binding(name), "it takes a block to compute it")
            if self._is_held_by_blocks(name):
                raise NotAgainError(self._binding(name), "it is changed later, and may be held by the blocks")
        except NotAgainError as error:
            if origin.level is Level.FIXED:
                return False  # it is the same in every call, so that of the last one will do
            raise self._stale(name, error.reason, error.node) from error
        return True

    def _is_held_by_blocks(self, name: str) -> bool:
        """Whether a value is changed behind the blocks that may also be seen through what they hand over."""
        rest = self.reader.effects(self.cut.rest)
        if name not in self.aliases.changed(rest.changes):
            return False
        others = local_names(self.aliases.closure({name}) & rest.reads) - {name, self.cut.hidden, self.cut.encoder}
        return any(self.behind.get(other, FIXED).level is Level.BLOCKS for other in others)

    def _is_of_caller(self, name: str) -> bool:
        """Whether the blocks change in place what the caller passed, which is never taken over from an earlier call.

        What they compute is missing in it on reused steps; what they do to it besides must not be.
        """
        if name in self.bound or not views_in(self.views, {name}) & self.arguments:
            return False
        origin = self.behind.get(name, FIXED)
        if origin.parts != {name} and origin.level is not Level.BLOCKS and name not in self.reader.containers:
            raise self._stale(name, "the blocks change it in place")
        return True

    def _changed(self) -> frozenset[Place]:
        """All that the blocks may change in place or store on the model, but for submodules."""
        changes = self.aliases_in_blocks.changed({place for one in self.effects for place in one.changes})
        submodules = {Attribute(first_of(path)) for path in self.reader.module.children}
        return (changes | attributes_in(self.bound)) - submodules

    def _changed_elsewhere(self) -> dict[Place, ast.stmt]:
        """The names and attributes of the prelude whose objects the blocks may change, which nobody plainly sees."""
        statements = simple_statements(self.cut.blocks)
        changes = [(one, changed - _filled(one)) for one in statements if (changed := self.reader.effects(one).changes)]
        if not any(places for _, places in changes):  # most blocks change nothing in place
            return {}
        around = shared_outside_blocks(self.reader, [*self.cut.prelude, *self.cut.blocks], self.tracer)
        known = self.assigned.union(self.parameters, *(one.binds for one in self.before))  # surely bound or not
        unseen = known - self.bound - self.changed - self.arguments
        found: dict[Place, ast.stmt] = {}
        attributes = self._set_by_the_prelude()
        for one, places in changes:
            shared = around.changed(places)
            found |= dict.fromkeys(local_names(shared) & unseen, one)
            found |= {attribute: one for attribute, objects in attributes.items() if shared & objects}
        return found

    def _set_by_the_prelude(self) -> dict[Attribute, set[Place]]:
        """The attributes that the prelude sets, with the places whose objects, or parts of them, they are set to."""
        owner = self.reader.function.self_name
        found: dict[Attribute, set[Place]] = {}
        for statement in simple_statements(self.cut.prelude):
            effects = effects_of(statement, self_name=owner)
            objects = {place for pair in effects.aliases if owner in pair for place in pair}
            for attribute in attributes_in(effects.binds):
                found.setdefault(attribute, set()).update(objects)
        return found

    # What crosses, and what is run again

    def _live(self, live: set[str]) -> tuple[LiveValue, ...]:
        entering = self.reader.effects(self.cut.blocks).reads | self.changed
        # What is changed in place and never bound again is a container (or the buffer of a stream).
        threaded = self.assigned & (self.bound | {self.cut.hidden, self.cut.encoder})
        found = []
        for name in sorted(live, key=lambda name: (name != self.cut.hidden, name)):
            unbound = name not in self.assigned_behind
            enters = name in threaded and (name in entering or unbound)
            kept = name in self.assigned and name in self.behind.get(name, FIXED).parts
            found.append(LiveValue(name, "stream" if enters or kept else "carried", maybe_unbound=unbound))
        return tuple(found)

    def _left(self, recomputed: Sequence[ast.stmt], live: set[str]) -> list[ast.stmt]:
        """The statements of the blocks, without those that only the postlude needs."""
        left = list(range(len(self.cut.blocks)))
        whole = [i for i, s in enumerate(self.cut.blocks) if any(_same(s, one) for one in recomputed)]
        for index in reversed(whole):
            binds = self.effects[index].binds
            if not binds & live and not any(binds & self.effects[i].reads for i in left if i > index):
                left.remove(index)
        return [self.cut.blocks[index] for index in left]

    def _apart(self, recomputed: list[ast.stmt], live: set[str], others: set[str]) -> dict[str, str]:
        """Names of their own for values that the recomputed statements use and that mean something else behind them."""
        effects = self.reader.effects(recomputed)
        clashing = ((effects.binds | effects.reads) & live) | (effects.binds & others)
        names: dict[str, str] = {}
        used = set(self.cut.taken) | self.reader.locals
        for name in sorted(local_names(clashing)):
            number = 1
            while f"{name}_v{number}" in used:
                number += 1
            names[name] = f"{name}_v{number}"
            used.add(names[name])
        return names

    def _saves(self, names: Mapping[str, str], needed: frozenset[Place]) -> dict[str, str]:
        """Those of the names whose values are there when the blocks begin."""
        saves = {name: new for name, new in names.items() if name in needed and name in self.entry}
        missing = sorted(set(saves) - self.assigned)
        if missing:
            raise self._stale(missing[0], "it may be unbound when the blocks begin")
        return saves

    # Messages

    def _stale(self, name: str, reason: str, bound: ast.AST | None = None) -> StaleValueError:
        where = bound if isinstance(bound, ast.stmt) else self._binding(name)
        return StaleValueError(name, reason, where, self._reading(name))

    def _binding(self, name: str) -> ast.stmt:
        """The last statement of the blocks that binds or changes a name."""
        names = views_in(self.views, {name})
        touches = [
            s for s in simple_statements(self.cut.blocks)
            if name in self.reader.effects(s).binds or names & self.reader.effects(s).changes
        ]  # fmt: skip
        loops = [s for s in self.cut.blocks if name in self.reader.effects(s).binds]
        return (touches or loops or list(self.cut.blocks))[-1]

    def _reading(self, name: str) -> ast.stmt:
        return next(
            (s for s in simple_statements(self.cut.rest) if name in self.reader.effects(s).reads),
            next((s for s in self.cut.rest if name in self.reader.effects(s).reads), self.cut.rest[0]),
        )


def _same(statement: ast.stmt, other: ast.stmt) -> bool:
    return statement.lineno == other.lineno and ast.dump(statement) == ast.dump(other)


def _filled(statement: ast.stmt) -> set[str]:
    """The containers that a statement puts something in or takes it out of: what they hold stays as it is."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    keyed = [target for target in targets if isinstance(target, ast.Subscript)]
    found = [
        one.value for one in keyed if isinstance(one.slice, ast.Constant) and isinstance(one.slice.value, str)
    ]  # a key that is a text: of a dict
    functions = [part.func for part in walk(statement) if isinstance(part, ast.Call)]
    found += [one.value for one in functions if isinstance(one, ast.Attribute) and one.attr in FILLS]
    return {one.id for one in found if isinstance(one, ast.Name)}


def _of_call(origin: Origin) -> Origin:
    """What the prelude computes is of this call, with whatever it computes it."""
    items = None if origin.items is None else tuple(_of_call(item) for item in origin.items)
    level = min(origin.level, Level.CALL)
    return Origin(frozenset({level}), items, origin.keys, block=origin.block, container=origin.container)
