"""locate: model source -> landmarks. Finds in the forward what the spec names, and checks what the spec says of it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Literal

from teaspec.compiler.analysis.effects.statements import effects_of, unknown_syntax
from teaspec.compiler.analysis.flow.search import (
    calls_of,
    made_of,
    mentions_of,
    simple_statements,
    unanalysable,
    without_docstring,
)
from teaspec.compiler.analysis.loops.astray import called_around, handed_on, loops_elsewhere, no_loop
from teaspec.compiler.analysis.loops.branches import cut_branches
from teaspec.compiler.analysis.loops.extent import Extent
from teaspec.compiler.analysis.loops.loops import LoopSite, find_loops, reached
from teaspec.compiler.analysis.loops.running import runs_item
from teaspec.compiler.analysis.loops.stream_kinds import container_kind
from teaspec.compiler.analysis.syntax.names import parameters_of, self_path
from teaspec.compiler.analysis.syntax.parallel import split_parallel
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.landmarks import Landmark, Landmarks
from teaspec.compiler.forms.places import Place, in_order, local_names
from teaspec.compiler.forms.source import ModelSource
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.report import Diagnostic, Label, SpecError, did_you_mean


def locate(spec: Spec, source: ModelSource) -> Landmarks:
    """Finds the four landmarks and where they cut the forward.

    Args:
        spec: A checked spec.
        source: The model's source.

    Raises:
        SpecError: With one diagnostic for each landmark that is not where the spec says, and for each claim of the spec
            (style, streams, signal) that the source contradicts.
    """
    return _Locator(spec, source).locate()


class _Locator:
    def __init__(self, spec: Spec, source: ModelSource) -> None:
        self.spec = spec
        self.source = source
        self.forward = source.model.forward
        self.self_name = self.forward.self_name
        self.mistakes: list[Diagnostic] = []
        self._refuse_what_cannot_be_analysed()
        body = split_parallel(without_docstring(self.forward.node.body))
        self.body = cut_branches(body, self._holds, source.model.summaries, self.self_name)

    def locate(self) -> Landmarks:
        loops = self._loops()
        norm = self._norm()
        if not loops:
            if self.spec.embed is None or called_around(self.spec.embed.call, self.source.model) is None:
                self._embed(len(self.body))  # two independent mistakes are both worth knowing
            raise SpecError(self.mistakes)
        elsewhere = loops_elsewhere(self.spec, self.source.model, loops, self.body)
        if elsewhere is not None:
            raise SpecError([elsewhere])
        indices = [index for index, statement in enumerate(self.body) if self._holds(statement, loops)]
        runs = [i for i in range(indices[0], len(self.body)) if self._runs_block(self.body[i])]
        first, last_loop = indices[0], max([indices[-1], *runs])
        embed = self._embed(first)
        head, head_index = self._head(first, last_loop)
        names, streams = frozenset(name for name, _ in loops), self.spec.streams
        dual = self.spec.blocks.style == "dual"
        extent = Extent(self.source.model, self.body, names, first, last_loop, streams.hidden, streams.encoder, dual)
        last = extent.end(head_index) if self.spec.blocks.until is None else self._until(last_loop, head_index) - 1
        self._streams(first, last)
        self._style(loops, first, last)
        signal = self._signal(first)
        if self.mistakes:
            raise SpecError(self.mistakes)
        found = [embed, norm, *(self._loop_landmark(name, site) for name, site in loops), head]
        return Landmarks(
            found=tuple(landmark for landmark in found if landmark is not None),
            body=tuple(self.body),
            first=first,
            last=last,
            hidden=self.spec.streams.hidden,
            encoder=self.spec.streams.encoder if self.spec.blocks.style == "dual" else None,
            temb=self.spec.embed.names if self.spec.embed else (),
            signal=signal,
        )

    # What no analysis can follow

    def _refuse_what_cannot_be_analysed(self) -> None:
        for node, code, what in unanalysable(self.forward.node):
            self._mistake(code, f"`{self.forward.title}` {what}", ("model",), self._label(node, "here"))
        modules = (self.source.model, *self.source.norm.frames)
        for function in (function for module in modules for function in reached(module)):
            for node in unknown_syntax(function.node)[:1]:
                message = f"`{function.title}` is written in a syntax that is not known: `{type(node).__name__}`"
                label = function.file.label(node, "here")
                self._mistake("unknown-syntax", message, ("model",), label)
        if self.mistakes:
            raise SpecError(self.mistakes)

    # Landmark 3, the loops

    def _loops(self) -> list[tuple[str, LoopSite]]:
        found: list[tuple[str, LoopSite]] = []
        for position, name in enumerate(self.spec.blocks.loops):
            sites = find_loops(self.forward.node, name, self.forward, self.source.model.methods)
            if sites:
                found += [(name, site) for site in sites]
                continue
            self.mistakes.append(no_loop(self.spec, self.source.model, name, position))
        return found if not self.mistakes else []

    def _holds(self, statement: ast.stmt, loops: Sequence[tuple[str, LoopSite]] | None = None) -> bool:
        names = self.spec.blocks.loops if loops is None else {name for name, _ in loops}
        return any(find_loops(statement, name, self.forward, self.source.model.methods) for name in names)

    def _runs_block(self, statement: ast.stmt) -> bool:
        """Whether a statement runs a block without a loop: the last one may be called by itself behind the others."""
        return any(runs_item(statement, name, self.forward) for name in self.spec.blocks.loops)

    # Landmark 1, the embedding call

    def _embed(self, end: int) -> Landmark | None:
        if self.spec.embed is None:
            return None
        call, names = self.spec.embed.call, self.spec.embed.names
        bound = [
            (node, effects_of(statement, self_name=self.self_name).binds)
            for statement in simple_statements(self.body[:end])
            for node in calls_of(statement, call, self.self_name)
        ]
        missing = [name for name in names if not any(name in binds for _, binds in bound)]
        if not missing:
            node = next(node for node, binds in bound if names[0] in binds)
            return self._landmark_at("embed", str(self.spec.embed), node)
        if bound:
            node, binds = bound[0][0], self._as_written(bound[0][1])
            found = ", ".join(f"`{place}`" for place in in_order(binds)) or "nothing"
            message = f"`self.{call}(...)` does not bind `{missing[0]}` in `{self.forward.title}`"
            self._mistake(
                "embed-binds-other-name", message, ("embed",), self._label(node, f"binds {found}"),
                help_lines=did_you_mean(missing[0], local_names(binds)),
            )  # fmt: skip
            return None
        calls = self._called_in(self.body[:end])
        help_lines = did_you_mean(call, calls)
        near = [n for p, n in calls.items() if help_lines and f"`{p}`" in help_lines[0]]
        label = (
            self._label(near[0], "called here") if near else self._label(self.forward.node, "searched up to the blocks")
        )
        message = f"no call of `self.{call}` before the blocks in `{self.forward.title}`"
        self._mistake("unknown-embed-call", message, ("embed",), label, help_lines=help_lines)
        return None

    # Landmark 2, the norm

    def _norm(self) -> Landmark | None:
        path = self.source.norm
        if path.loop not in self.spec.blocks.loops:
            if not self.mistakes:  # else the loop that is misspelt may well be this one
                expected = " or ".join(f"`{name}.0.<norm>`" for name in self.spec.blocks.loops)
                message = f"`{path.loop}` is none of the spec's block loops"
                self._mistake("norm-outside-first-loop", message, ("norm",), help_lines=(f"expected {expected}",))
            return None
        frame, step = path.frames[-1], path.steps[-1]
        for outer, name in zip((f for f in path.frames), path.steps, strict=True):
            functions = [outer.forward, *(m for m in outer.methods.values() if m.node is not outer.forward.node)]
            sites = [(f, n) for f in functions for n in calls_of(f.node, name, f.self_name)]
            if not sites:
                called = {
                    p for n in walk(outer.forward.node) if isinstance(n, ast.Call)
                    and (p := self_path(n.func, outer.forward.self_name))
                }  # fmt: skip
                handed = handed_on(name, outer.forward)
                text = f"calls no `self.{name}`" if handed is None else "goes to somebody else here"
                label = outer.forward.file.label(handed or outer.forward.node, text)
                message = f"`{outer.forward.title}` does not call `self.{name}`"
                self._mistake("unknown-norm-path", message, ("norm",), label, help_lines=did_you_mean(name, called))
                return None
            if outer is frame and name == step:
                function, node = sites[0]
                span = function.file.span(node)
                return Landmark("norm", self.spec.norm, span, function.file.line(span.line))
        return None

    # Landmark 4, the head

    def _head(self, first: int, last_loop: int) -> tuple[Landmark | None, int]:
        head = self.spec.head
        for index in range(last_loop + 1, len(self.body)):
            node = next(calls_of(self.body[index], head, self.self_name), None) or next(
                mentions_of(self.body[index], head, self.self_name), None
            )
            if node is not None:
                return self._landmark_at("head", head, node), index
        early = [n for s in self.body[: last_loop + 1] for n in calls_of(s, head, self.self_name)]
        if early:
            around = self.body[last_loop]
            if early[-1] in list(walk(around)) and not isinstance(around, ast.For):
                message = f"the block loops and the call of `self.{head}` stand in one statement, which cannot be cut"
                self._mistake("loop-in-unknown-place", message, ("head",), self._label(around, "this statement"))
            else:
                message = f"`self.{head}` is called before the block loops have ended"
                self._mistake("head-before-blocks", message, ("head",), self._label(early[0], "called here"))
            return None, len(self.body)
        message = f"no call of `self.{head}` after the blocks in `{self.forward.title}`"
        fallback = self._label(self.body[first], "the blocks begin here")
        self._not_called("unknown-head", message, ("head",), head, self.body[last_loop + 1 :], fallback)
        return None, len(self.body)

    def _until(self, last_loop: int, head_index: int) -> int:
        """Index of the statement that the spec says the blocks end before."""
        until = str(self.spec.blocks.until)
        between = self.body[last_loop + 1 : head_index + 1]
        for index, statement in enumerate(between, last_loop + 1):
            if next(calls_of(statement, until, self.self_name), None) is not None:
                return index
        message = f"no call of `self.{until}` between the blocks and the head in `{self.forward.title}`"
        fallback = self._label(self.body[last_loop], "the blocks")
        self._not_called("unknown-until", message, ("blocks", "until"), until, between, fallback)
        return last_loop + 1

    def _not_called(
        self, code: str, message: str, where: tuple[str, ...], path: str, suite: Sequence[ast.stmt], fallback: Label
    ) -> None:
        """Notes that something is not called behind the blocks, with what is; or, where nothing is, another label."""
        after = self._called_in(suite)
        labels = [self._label(node, "called after the blocks") for node in list(after.values())[:3]]
        self._mistake(code, message, where, *(labels or [fallback]), help_lines=did_you_mean(path, after))

    # Claims of the spec that the source can contradict

    def _streams(self, first: int, last: int) -> None:
        before, within = self._bound_before(first), self._bound_before(last + 1)
        streams = [("hidden", self.spec.streams.hidden)]
        if self.spec.blocks.style == "dual":
            streams.append(("encoder", self.spec.streams.encoder))
        for role, name in streams:
            where: tuple[str, ...] = ("streams", role) if "streams" in self.spec.document.data else ("model",)
            kind = container_kind(self.body[:first], name, self.self_name)
            if kind is not None:
                message = f"the {role} stream `{name}` is {kind[0]} when the blocks begin, and no tensor"
                label = self._label(kind[1], "here")
                packing = ("hold each stream in a name of its own in the loop, and pack them around the call",)
                self._mistake("stream-not-a-tensor", message, where, label, help_lines=packing)
            if name not in before:
                if role == "encoder" and "streams" not in self.spec.document.data:
                    message = f"`{self.forward.title}` binds no encoder stream `{name}`, so the style is not `dual`"
                    label = self._label(self.body[first], "the blocks begin here")
                    advice = ("use `style: single`", "or name the stream: `streams: {encoder: ...}`")
                    self._mistake("style-mismatch", message, ("blocks", "style"), label, help_lines=advice)
                    continue
                found = f"`{name}` within its blocks alone" if name in within else f"no `{name}` before its blocks"
                message = f"`{self.forward.title}` binds {found}, the {role} stream"
                label = self._label(self.body[first], "the blocks begin here")
                naming = f"name what enters the blocks: `streams: {{{role}: ...}}`"
                self._mistake("unknown-stream", message, where, label, help_lines=(*did_you_mean(name, before), naming))

    def _style(self, loops: Sequence[tuple[str, LoopSite]], first: int, last: int) -> None:
        if self.mistakes:
            return
        bound: set[Place] = set()
        for _, site in loops:
            bound |= effects_of(site.node.body, self_name=site.function.self_name).binds
        for index in range(first, last + 1):
            if self._holds(self.body[index], [s for s in loops if s[1].function is not self.forward]):
                bound |= effects_of(self.body[index], self_name=self.self_name).binds  # the loop is in a method
        between = effects_of(self.body[first : last + 1], self_name=self.self_name).binds
        hidden, encoder = self.spec.streams.hidden, self.spec.streams.encoder
        label = self._label(loops[0][1].node, "this loop") if loops[0][1].function is self.forward else None
        labels = [label or loops[0][1].function.file.label(loops[0][1].node, "this loop")]
        where = ("blocks", "style")
        if hidden not in made_of(bound, self.body[first : last + 1], self.self_name):
            message = f"the block loops do not bind the hidden stream `{hidden}`"
            names = sorted(local_names(self._as_written(bound)))
            found = ", ".join(f"`{name}`" for name in names) or "no local name at all"
            help_lines = (f"they bind {found}",)
            self._mistake("style-mismatch", message, where, *labels, help_lines=help_lines)
        elif self.spec.blocks.style == "dual" and encoder not in between:
            message = f"the block loops do not bind the encoder stream `{encoder}`, so the style is not `dual`"
            self._mistake("style-mismatch", message, where, *labels, help_lines=("use `style: single`",))
        elif self.spec.blocks.style == "single" and encoder in bound and encoder in self._bound_before(first):
            message = f"the block loops bind `{encoder}` as well, so the style is not `single`"
            self._mistake("style-mismatch", message, where, *labels, help_lines=("use `style: dual`",))

    def _signal(self, first: int) -> tuple[str, ...] | None:
        signal = self.spec.signal
        if signal in {"norm", "attention"}:
            return None
        if signal == "temb" and self.spec.embed is not None:
            return self.spec.embed.names  # the embedding's own landmark has checked it
        known = self._bound_before(first)
        if signal not in known:
            message = f"`{self.forward.title}` binds no `{signal}` before its blocks"
            label = self._label(self.body[first], "the blocks begin here")
            near = did_you_mean(signal, known)
            self._mistake("unknown-signal", message, self.spec.signal_path, label, help_lines=near)
        return (signal,)

    def _bound_before(self, end: int) -> set[str]:
        bound = effects_of(self.body[:end], self_name=self.self_name).binds
        return {*parameters_of(self.forward.node.args), *local_names(bound)}

    def _as_written(self, places: Iterable[Place]) -> set[Place]:
        """Places as the model's file has them: names of a helper that was written out may be called otherwise here."""
        written: dict[Place, Place] = {
            new: old for helper in self.forward.written_out for old, new in helper.names.items()
        }
        return {written.get(place, place) for place in places}

    def _called_in(self, statements: Sequence[ast.stmt]) -> dict[str, ast.Call]:
        nodes = (node for statement in statements for node in walk(statement))
        calls = ((self_path(node.func, self.self_name), node) for node in nodes if isinstance(node, ast.Call))
        return {path: node for path, node in calls if path}

    # Labels

    def _loop_landmark(self, name: str, site: LoopSite) -> Landmark:
        span = site.function.file.span(site.blocks)
        return Landmark("loop", name, span, site.function.file.line(span.line))

    def _landmark_at(self, role: Literal["embed", "head"], name: str, node: ast.AST) -> Landmark:
        span = self.forward.file.span(node)
        return Landmark(role, name, span, self.forward.file.line(span.line))

    def _label(self, node: ast.AST, text: str) -> Label:
        return self.forward.file.label(node, text)

    def _mistake(
        self, code: str, message: str, where: tuple[str | int, ...], *labels: Label, help_lines: tuple[str, ...] = ()
    ) -> None:
        named = self.spec.document.label("named here", *where)
        self.mistakes.append(Diagnostic(code, message, (named, *labels), help_lines))
