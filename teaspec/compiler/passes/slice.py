"""slice: landmarks -> program. Cuts the forward into prelude, blocks and postlude, and says what crosses the cuts."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from teaspec.compiler.analysis.crossing import Crossing, crossing_values, views_of
from teaspec.compiler.analysis.dataflow import Aliases, Reader, definitely_assigned, parameter_names
from teaspec.compiler.analysis.effects import Effects
from teaspec.compiler.analysis.loops import loops_in
from teaspec.compiler.analysis.names import outside_functions
from teaspec.compiler.analysis.norm_slice import norm_functions
from teaspec.compiler.analysis.prune import prune
from teaspec.compiler.analysis.rewrite import (
    dispatching,
    is_dispatch,
    marking_unbound,
    renamed,
    returning_finished,
    unbinding_marked,
)
from teaspec.compiler.analysis.sinking import Sinking, split_prelude
from teaspec.compiler.analysis.slice_effects import NormSliceError
from teaspec.compiler.forms.landmarks import Landmarks
from teaspec.compiler.forms.program import Function, GeneratedNames, Program, Statement, places_of
from teaspec.compiler.forms.source import FunctionSource, ModelSource
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.report import Diagnostic, SpecError


def slice_forward(spec: Spec, source: ModelSource, landmarks: Landmarks) -> Program:
    """Cut a forward.

    Args:
        spec: A checked spec.
        source: The model's source.
        landmarks: The spec's landmarks, found in it.

    Raises:
        SpecError: The forward cannot be cut exactly: `return-in-blocks`, `rebound-closure`, `stream-not-live`,
            `forward-not-dispatched` or one of the codes of the norm slice.
    """
    return _Slicer(spec, source, landmarks).program()


class _Slicer:
    def __init__(self, spec: Spec, source: ModelSource, landmarks: Landmarks) -> None:
        self.spec, self.source, self.landmarks = spec, source, landmarks
        self.forward = source.model.forward
        self.reader = Reader.of(source.model, self.forward)
        every = (self.reader.effects(statement) for statement in landmarks.body)
        self.aliases = Aliases(every, self.reader.containers)
        self.parameters = parameter_names(self.forward.node.args)
        first, last = landmarks.first, landmarks.last
        self.prelude = landmarks.body[:first]
        self.blocks = landmarks.body[first : last + 1]
        self.after = landmarks.body[last + 1 :]
        self.rest: list[ast.stmt] = list(self.after)
        self.names = GeneratedNames.avoiding(_all_names(source))

    def program(self) -> Program:
        self._refuse_returns_in_blocks()
        effects = [self.reader.effects(statement) for statement in self.prelude]
        norm = self._norm_functions()
        self.rest, _ = prune(self.rest, self.reader, self._stays, self.aliases)
        crossing = self._crossing()
        postlude, needed_behind = prune([*crossing.recomputed, *self.rest], self.reader, self._stays, self.aliases)
        self._refuse_changed_live_values(crossing, postlude)
        wanted = self._wanted(norm, crossing, needed_behind)
        behind = self.reader.effects([*self.blocks, *self.rest]).reads
        names = frozenset(_all_names(self.source))
        sinking = split_prelude(effects, wanted, behind, self.parameters, names, self.reader.containers)
        self._refuse_rebound_closures(sinking)
        kept = [effects[index] for index in sinking.kept]
        available = {*self.parameters, *(name for one in kept for name in one.binds if "." not in name)}
        assigned = definitely_assigned(kept, self.parameters)
        versions = {save.version for save in sinking.saves}
        blocks = self._blocks_function(sinking, crossing, available | versions, assigned | versions)
        postlude_function = self._postlude_function(postlude, needed_behind, crossing, available, assigned)
        several = {name for names in (self.landmarks.temb, self.landmarks.signal or ()) if names[1:] for name in names}
        crossed = {*blocks.parameters, *postlude_function.parameters, *several} & available
        unbound = tuple(name for name in self._ordered(crossed) if name not in assigned)
        live = tuple(value.name for value in crossing.live)
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
            extract=self._extract_function(sinking, unbound),
            blocks_function=blocks,
            postlude_function=postlude_function,
            norm_functions=norm,
            dispatch=self._dispatch_function(),
            recomputed=self._statements(crossing.recomputed),
        )

    # What crosses

    def _norm_functions(self) -> tuple[Function, ...]:
        if self.landmarks.signal is not None:
            return ()
        try:
            return norm_functions(self.source, self.blocks, self.landmarks.hidden, self.names.modulated_input)
        except NormSliceError as error:
            raise self._error(error.code, error.message, ("norm",), error.source, error.node) from error

    def _crossing(self) -> Crossing:
        holds_loop = [
            any(True for _ in loops_in(statement, self.forward, self.source.model.methods)) for statement in self.blocks
        ]
        hidden, encoder = self.landmarks.hidden, self.landmarks.encoder
        crossing = crossing_values(self.reader, self.prelude, self.blocks, self.rest, holds_loop, hidden, encoder)
        if all(value.name != self.landmarks.hidden for value in crossing.live):
            message = f"what comes after the blocks does not read the hidden stream `{self.landmarks.hidden}`"
            node = self.rest[0] if self.rest else self.blocks[-1]
            raise self._error("stream-not-live", message, ("head",), self.forward, node)
        return crossing

    def _stays(self, effects: Effects) -> bool:
        """Whether a statement of the postlude stays although nothing reads what it binds."""
        seen = effects.changes & frozenset(self.parameters) or any(n.startswith("self.") for n in effects.changes)
        return effects.external or effects.random or effects.raises or bool(seen)

    def _wanted(self, norm: Sequence[Function], crossing: Crossing, needed_behind: frozenset[str]) -> frozenset[str]:
        live = {value.name for value in crossing.live}
        wanted = {self.landmarks.hidden, *self.landmarks.temb}
        wanted |= {value.name for value in crossing.live if value.kind == "stream"}
        wanted |= needed_behind - live
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

    def _extract_function(self, sinking: Sinking, unbound: Sequence[str]) -> Function:
        body: list[ast.stmt] = []
        for index in sinking.kept:
            statement = self.prelude[index]
            body += [_assignment(save.version, save.name, statement) for save in sinking.saves if save.before == index]
            body.append(returning_finished(statement, self.names.finished))
        body += [marking_unbound(name, self.names.unbound, self.blocks[0]) for name in unbound]
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
        needed: frozenset[str],
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

    def _dispatch_function(self) -> Function | None:
        entry = self.source.entry
        if entry is self.forward:
            return None
        returns = [n for n in ast.walk(entry.node) if isinstance(n, ast.Return)]
        if not any(is_dispatch(node.value, self.spec.forward, entry.self_name) for node in returns):
            message = f"`{entry.title}` does not hand on to `self.{self.spec.forward}(...)` with a `return`"
            raise self._error("forward-not-dispatched", message, ("forward",), entry, entry.node)
        body = [
            dispatching(s, self.names.finished, self.spec.forward, self.names.handed_on, entry.self_name)
            for s in entry.node.body
            if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        ]
        parameters = tuple(parameter_names(entry.node.args))
        doc = f"{entry.title}, up to {self.forward.title}."
        return Function(self.names.dispatch, parameters, tuple(body), entry, doc, entry.node.args)

    # Refusals

    def _refuse_returns_in_blocks(self) -> None:
        for statement in self.blocks:
            for node in outside_functions(statement):
                if isinstance(node, ast.Return):
                    message = f"`{self.forward.title}` can return from the midst of its blocks"
                    raise self._error("return-in-blocks", message, ("blocks",), self.forward, node)

    def _refuse_changed_live_values(self, crossing: Crossing, postlude: Sequence[ast.stmt]) -> None:
        """A value that reused steps take over again and again must still be what the blocks made of it."""
        streams = {self.landmarks.hidden, self.landmarks.encoder}
        kept = {value.name for value in crossing.live} - streams
        for statement in postlude:
            changed = (
                views_of([*self.prelude, *self.blocks, *postlude], set(self.reader.effects(statement).changes)) & kept
            )
            if changed:
                name = sorted(changed)[0]
                message = f"the postlude changes `{name}` in place, which reused steps take over from an earlier step"
                raise self._error("carried-value-changed", message, ("head",), self.forward, statement)

    def _refuse_rebound_closures(self, sinking: Sinking) -> None:
        place = {id(self.prelude[index]): "prelude" for index in sinking.kept}
        place |= {id(self.prelude[index]): "blocks" for index in sinking.sunk}
        place |= {id(statement): "blocks" for statement in self.blocks}
        body = self.landmarks.body
        effects = [self.reader.effects(statement) for statement in body]
        for index, one in enumerate(effects):
            for later in range(index + 1, len(body)):
                here, there = (place.get(id(body[i]), "postlude") for i in (index, later))
                rebound = one.captures & effects[later].binds
                if rebound and here != there:
                    name = sorted(rebound)[0]
                    message = f"a nested function in the {here} reads `{name}`, which the {there} binds again"
                    raise self._error("rebound-closure", message, ("model",), self.forward, body[index])

    def _error(
        self, code: str, message: str, where: tuple[str, ...], source: FunctionSource, node: ast.AST
    ) -> SpecError:
        named = self.spec.document.label("named here", *where)
        return SpecError([Diagnostic(code, message, (named, source.file.label(node, "here")))])

    # Small things

    def _ordered(self, names: Iterable[str]) -> list[str]:
        """Parameters in the order of the signature, then the others by name."""
        wanted = set(names)
        return [n for n in self.parameters if n in wanted] + sorted(n for n in wanted if n not in self.parameters)

    def _statements(self, statements: Iterable[ast.stmt]) -> tuple[Statement, ...]:
        return tuple(Statement(ast.unparse(s).split("\n")[0], s.lineno, places_of([s])) for s in statements)

    def _dropped(self, postlude: Sequence[ast.stmt]) -> list[ast.stmt]:
        lines = {s.lineno for s in postlude}
        return [s for s in self.after if s.lineno not in lines]


def _assignment(target: str, value: str, at: ast.stmt) -> ast.stmt:
    made = ast.Assign(targets=[ast.Name(target, ast.Store())], value=ast.Name(value, ast.Load()))
    return ast.copy_location(made, at)


def _all_names(source: ModelSource) -> set[str]:
    functions = [source.entry, source.model.forward, *(f.forward for f in source.norm.frames)]
    functions += [m for module in (source.model, *source.norm.frames) for m in module.methods.values()]
    names: set[str] = set()
    for function in functions:
        for node in ast.walk(function.node):
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.arg):
                names.add(node.arg)
    return names
