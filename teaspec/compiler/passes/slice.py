"""slice: landmarks -> program. Cuts the forward into prelude, blocks and postlude, and says what crosses the cuts."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from teaspec.compiler.analysis.cut.block_state import BlockState
from teaspec.compiler.analysis.cut.bypassed import of_a_cut_call, without_bypassed
from teaspec.compiler.analysis.cut.crossing import Crossing, Cut, StaleValueError, crossing_values
from teaspec.compiler.analysis.cut.left_behind import left_behind
from teaspec.compiler.analysis.cut.refusals import Refusals
from teaspec.compiler.analysis.cut.sinking import Sinking, split_prelude
from teaspec.compiler.analysis.effects.effects import Effects
from teaspec.compiler.analysis.flow.dataflow import Aliases, Reader, definitely_assigned, parameter_names
from teaspec.compiler.analysis.flow.prune import prune
from teaspec.compiler.analysis.signal.norm_slice import norm_functions
from teaspec.compiler.analysis.signal.slice_effects import NormSliceError
from teaspec.compiler.analysis.syntax.rewrite import marking_unbound, renamed, returning_finished, unbinding_marked
from teaspec.compiler.analysis.syntax.starts import starts_of
from teaspec.compiler.analysis.syntax.walking import walked
from teaspec.compiler.analysis.writing.handing_on import handing_on
from teaspec.compiler.forms.landmarks import Landmarks
from teaspec.compiler.forms.places import Place, attributes_in, local_names
from teaspec.compiler.forms.program import Function, GeneratedNames, Program, Statement
from teaspec.compiler.forms.source import ModelSource
from teaspec.compiler.forms.spec import Spec


def slice_forward(spec: Spec, source: ModelSource, landmarks: Landmarks) -> Program:
    """Cuts a forward.

    Args:
        spec: A checked spec.
        source: The model's source.
        landmarks: The spec's landmarks, found in it.

    Raises:
        SpecError: The forward cannot be cut exactly: `return-in-blocks`, `rebound-closure`, `stream-not-live`,
            `stale-value`, `state-of-blocks`, `forward-not-dispatched` or one of the codes of the norm slice.
    """
    return _Slicer(spec, source, landmarks).program()


class _Slicer:
    def __init__(self, spec: Spec, source: ModelSource, landmarks: Landmarks) -> None:
        self.spec, self.source, self.landmarks = spec, source, landmarks
        self.forward = source.model.forward
        self.reader = Reader.of(source.model, self.forward)
        self.taken = _all_names(source)
        self.names = GeneratedNames.avoiding(self.taken)
        first, last = landmarks.first, landmarks.last
        # The rules name arguments of what is called, which are not those of a method that it hands on to.
        self.bypass = spec.bypass if source.entry is self.forward else ()
        known = of_a_cut_call(self.reader, self.bypass)
        prelude, blocks, after = landmarks.body[:first], landmarks.body[first : last + 1], landmarks.body[last + 1 :]
        self.prelude = prelude
        self.blocks = without_bypassed(blocks, known, self.names.passed_by)
        self.after = without_bypassed(after, known, self.names.passed_by)
        self.body = [*self.prelude, *self.blocks, *self.after]
        self.rest: list[ast.stmt] = list(self.after)
        every = (self.reader.effects(statement) for statement in self.body)
        self.aliases = Aliases(every, self.reader.containers)
        self.parameters = parameter_names(self.forward.node.args)
        loops = frozenset(spec.blocks.loops)
        self.state = BlockState(self.reader, loops, source.norm, self.body)
        self.refusals = Refusals(spec, source)

    def program(self) -> Program:
        self.refusals.refuse_returns(self.blocks)
        effects = [self.reader.effects(statement) for statement in self.prelude]
        norm = self._norm_functions()
        self.rest, _ = prune(self.rest, self.reader, self._stays, self.aliases)
        crossing = self._crossing()
        knowing = self.reader.knowing(crossing.apart)
        postlude, needed_behind = prune([*crossing.recomputed, *self.rest], knowing, self._stays, self.aliases)
        carried = {value.name for value in crossing.live} - {self.landmarks.hidden, self.landmarks.encoder}
        self.refusals.refuse_changes(self.reader, carried, [*self.prelude, *self.blocks], postlude)
        left = left_behind(self.reader, self.blocks, postlude, self.state, self.bypass, crossing.held)
        if left is not None:
            raise self.refusals.state(left, self.body)
        wanted = self._wanted(norm, crossing, needed_behind)
        behind = self.reader.effects([*self.blocks, *self.rest]).reads
        names = self.taken | crossing.apart
        sinking = split_prelude(effects, wanted, behind, self.parameters, names, self.reader.containers)
        self.refusals.refuse_rebound_closures(self.reader, self.body, self._places(sinking))
        kept = [effects[index] for index in sinking.kept]
        available = {*self.parameters, *local_names(place for one in kept for place in one.binds)}
        assigned = definitely_assigned(kept, self.parameters).union(crossing.saves.values())
        available |= set(crossing.saves.values())
        versions = {save.version for save in sinking.saves}
        blocks = self._blocks_function(sinking, crossing, available | versions, assigned | versions)
        postlude_function = self._postlude_function(postlude, needed_behind, crossing, available, assigned)
        several = {name for names in (self.landmarks.temb, self.landmarks.signal or ()) if names[1:] for name in names}
        crossed = {*blocks.parameters, *postlude_function.parameters, *several} & available
        unbound = tuple(name for name in self._ordered(crossed) if name not in assigned)
        live = tuple(value.name for value in crossing.live)
        dispatch, going_on = self._handing_on()
        if going_on is not None:
            takes_over = any(value.kind == "carried" for value in crossing.live)
            changed = local_names(self.aliases.changed(self.reader.effects(self.blocks).changes)) & {*self.parameters}
            self.refusals.refuse_behind(going_on, self.state, takes_over=takes_over, changes_arguments=bool(changed))
        return Program(
            class_name=self.source.model.class_name,
            file=self.forward.file.shown,
            landmarks=self.landmarks.found,
            prelude=self._statements(self.prelude[index] for index in sinking.kept),
            sunk=self._statements(self.prelude[index] for index in sinking.sunk),
            blocks=self._statements(crossing.blocks),
            postlude=self._statements(postlude),
            dropped=self._statements(self._dropped(postlude)),
            live=crossing.live,
            hidden=self.landmarks.hidden,
            encoder=self.landmarks.encoder if self.landmarks.encoder in live else None,
            signal=" or ".join(self.landmarks.signal or (self.spec.norm,)),
            modulated=self._modulated(norm),
            temb=self._given(self.landmarks.temb) if self.landmarks.temb else None,
            names=self.names,
            extract=self._extract_function(sinking, unbound, crossing),
            blocks_function=blocks,
            postlude_function=postlude_function,
            norm_functions=norm,
            dispatch=dispatch,
            behind=going_on,
            recomputed=self._statements(crossing.recomputed),
        )

    # What crosses

    def _norm_functions(self) -> tuple[Function, ...]:
        if self.landmarks.signal is not None:
            return ()
        available = frozenset(local_names(self.reader.effects(self.prelude).binds).union(self.parameters))
        try:
            return norm_functions(
                self.source, self.blocks, self.landmarks.hidden, self.names.modulated_input, available
            )
        except NormSliceError as error:
            raise self.refusals.error(error.code, error.message, ("norm",), error.node, error.source) from error

    def _crossing(self) -> Crossing:
        cut = Cut(
            reader=self.reader,
            prelude=self.prelude,
            blocks=self.blocks,
            rest=self.rest,
            loops=frozenset(self.spec.blocks.loops),
            hidden=self.landmarks.hidden,
            encoder=self.landmarks.encoder,
            taken=self.taken,
            state=self.state,
        )
        try:
            crossing = crossing_values(cut)
        except StaleValueError as error:
            raise self.refusals.stale(error) from error
        if all(value.name != self.landmarks.hidden for value in crossing.live):
            message = f"what comes after the blocks does not read the hidden stream `{self.landmarks.hidden}`"
            node = self.rest[0] if self.rest else self.blocks[-1]
            raise self.refusals.error("stream-not-live", message, ("head",), node)
        return crossing

    def _stays(self, effects: Effects) -> bool:
        """Whether a statement of the postlude stays although nothing reads what it binds."""
        seen = effects.changes & frozenset(self.parameters) or attributes_in(effects.changes)
        return effects.external or effects.random or effects.raises or bool(seen)

    def _wanted(
        self, norm: Sequence[Function], crossing: Crossing, needed_behind: frozenset[Place]
    ) -> frozenset[Place]:
        live = {value.name for value in crossing.live}
        wanted = set[Place]({self.landmarks.hidden, *self.landmarks.temb})
        wanted |= {value.name for value in crossing.live if value.kind == "stream"}
        wanted |= needed_behind - live
        wanted |= {name for name, saved in crossing.saves.items() if saved in needed_behind}
        wanted |= set(norm[-1].parameters) if norm else set(self.landmarks.signal or ())
        return frozenset(wanted)

    def _modulated(self, norm: Sequence[Function]) -> ast.expr:
        if not norm:
            return self._given(self.landmarks.signal or ())
        arguments = [ast.Name(name, ast.Load()) for name in (self.forward.self_name, *norm[-1].parameters)]
        return ast.Call(ast.Name(self.names.modulated_input, ast.Load()), list(arguments), [])

    def _given(self, names: Sequence[str]) -> ast.expr:
        """The value of a name; of several, the first that this call gives a value."""
        values: list[ast.expr] = [ast.Name(name, ast.Load()) for name in names]
        return values[0] if len(values) == 1 else ast.Call(ast.Name(self.names.first_given, ast.Load()), values, [])

    # The functions of the extractor

    def _extract_function(self, sinking: Sinking, unbound: Sequence[str], crossing: Crossing) -> Function:
        body: list[ast.stmt] = []
        for index in sinking.kept:
            statement = self.prelude[index]
            body += [_assignment(save.version, save.name, statement) for save in sinking.saves if save.before == index]
            body.append(returning_finished(statement, self.names.finished))
        body += [marking_unbound(name, self.names.unbound, self.blocks[0]) for name in unbound]
        body += [_assignment(saved, name, self.blocks[0]) for name, saved in crossing.saves.items()]
        doc = f"Cut {self.forward.title} at its blocks."
        return Function(
            self.names.extract, tuple(self.parameters), tuple(body), self.forward, doc, self.forward.node.args
        )

    def _blocks_function(
        self, sinking: Sinking, crossing: Crossing, available: Iterable[str], assigned: Iterable[str]
    ) -> Function:
        versions: dict[int, dict[str, str]] = {index: {} for index in sinking.sunk}
        for save in sinking.saves:
            for index in save.users:
                versions[index][save.name] = save.version
        body = [renamed(self.prelude[index], versions[index]) for index in sinking.sunk]
        body += crossing.blocks
        last = self.blocks[-1]
        body += [marking_unbound(v.name, self.names.unbound, last) for v in crossing.live if v.maybe_unbound]
        result = ast.Tuple([ast.Name(value.name, ast.Load()) for value in crossing.live], ast.Load())
        body.append(ast.copy_location(ast.Return(result), last))
        saved = frozenset(save.version for save in sinking.saves)
        needed = Reader(self.reader.module, self.forward, self.reader.locals | saved).effects(body).reads
        parameters = tuple(name for name in self._ordered(needed) if name in set(available))
        doc = "What only computed steps execute."
        body = [*self._unbinding(set(parameters) - set(assigned), body), *body]
        return Function(self.names.blocks, parameters, tuple(body), self.forward, doc)

    def _postlude_function(
        self,
        postlude: Sequence[ast.stmt],
        needed: frozenset[Place],
        crossing: Crossing,
        available: Iterable[str],
        assigned: Iterable[str],
    ) -> Function:
        live = [value.name for value in crossing.live]
        fixed = [name for name in self._ordered(needed) if name in set(available) and name not in live]
        optional = {name for name in fixed if name not in set(assigned)}
        optional |= {value.name for value in crossing.live if value.maybe_unbound}
        doc = "What every step executes after the blocks."
        body = [*self._unbinding(optional, postlude), *postlude]
        return Function(self.names.postlude, (*fixed, *live), tuple(body), self.forward, doc)

    def _unbinding(self, names: Iterable[str], body: Sequence[ast.stmt]) -> list[ast.stmt]:
        return [unbinding_marked(name, self.names.unbound, body[0]) for name in self._ordered(names)]

    def _handing_on(self) -> tuple[Function | None, Function | None]:
        """The forward up to what it hands on to, and what it does behind that."""
        entry = self.source.entry
        if entry is self.forward:
            return None, None
        found = handing_on(self.source, self.names)
        if found is None:
            message = f"`{entry.title}` does not hand on to `{self.source.handed_on}(...)` with a `return`"
            raise self.refusals.error("forward-not-dispatched", message, ("forward",), entry.node, entry)
        return found

    # Small things

    def _places(self, sinking: Sinking) -> dict[int, str]:
        """Where the statements go that do not go to the postlude, by their identity."""
        place = {id(self.prelude[index]): "prelude" for index in sinking.kept}
        place |= {id(self.prelude[index]): "blocks" for index in sinking.sunk}
        return place | {id(statement): "blocks" for statement in self.blocks}

    def _ordered(self, places: Iterable[Place]) -> list[str]:
        """The local names among places: parameters in the order of the signature, then the others by name."""
        wanted = local_names(places)
        return [n for n in self.parameters if n in wanted] + sorted(n for n in wanted if n not in self.parameters)

    def _statements(self, statements: Iterable[ast.stmt]) -> tuple[Statement, ...]:
        return tuple(Statement(ast.unparse(s).split("\n")[0], s.lineno, starts_of([s])) for s in statements)

    def _dropped(self, postlude: Sequence[ast.stmt]) -> list[ast.stmt]:
        lines = {s.lineno for s in postlude}
        return [s for s in self.after if s.lineno not in lines]


def _assignment(target: str, value: str, at: ast.stmt) -> ast.stmt:
    made = ast.Assign(targets=[ast.Name(target, ast.Store())], value=ast.Name(value, ast.Load()))
    return ast.copy_location(made, at)


def _all_names(source: ModelSource) -> frozenset[str]:
    functions = [source.entry, source.model.forward, *(f.forward for f in source.norm.frames)]
    functions += [m for module in (source.model, *source.norm.frames) for m in module.methods.values()]
    names: set[str] = set()
    for function in functions:
        for node in walked(function.node):
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.arg):
                names.add(node.arg)
    return frozenset(names)
