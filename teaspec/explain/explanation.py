"""What is to be shown of a cut: the texts, what crosses, and how much a reused step executes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from teaspec.compiler import CompiledExtractor, Spec
from teaspec.compiler.analysis.syntax.starts import starts_of
from teaspec.compiler.forms.landmarks import Landmark
from teaspec.compiler.forms.program import Function, LiveValue, Program, Start, Statement
from teaspec.compiler.forms.source import FunctionSource
from teaspec.explain.listing import Line, Listing, make_listing
from teaspec.explain.parts import BLOCKS, NORM, PARTS, POSTLUDE, PRELUDE, SUNK, Part


@dataclass(frozen=True)
class Crossing:
    """What goes from one part to the next.

    Attributes:
        into_blocks: What the blocks, and what sank into them, take from the prelude.
        past_blocks: What the postlude takes from the prelude.
        live: What the postlude takes from the blocks, and so what is cached.
        unread: The encoder stream, where nothing behind the blocks reads it, else None.
    """

    into_blocks: tuple[str, ...]
    past_blocks: tuple[str, ...]
    live: tuple[LiveValue, ...]
    unread: str | None


@dataclass(frozen=True)
class Count:
    """How many statements of the forward go to a part.

    Attributes:
        part: Prelude, sunk, blocks or postlude.
        number: How many.
    """

    part: Part
    number: int


@dataclass(frozen=True)
class Explanation:
    """A spec's model, cut, to be shown.

    Attributes:
        spec: The spec's file.
        class_name: The model's class.
        signal: What the decision compares from one step to the next.
        signal_is_norm: Whether that is what the first attention receives.
        landmarks: Where the source has what the spec names.
        forward: The method that holds the loops, its helpers written out.
        entry: The forward that hands on to it, where that is another method.
        slices: The functions beyond the forward through which the modulated input is made, outermost first.
        blocks_begin: The line in front of which the blocks begin.
        blocks_end: The last line of the blocks.
        crossing: What crosses the cuts.
        counts: How many statements of the forward each part has; one that goes to two counts in both.
        total: How many statements the forward has.
        reused: How many of them a reused step executes at most.
        sliced: How many statements of `slices` it executes at most.
        extractor: The generated module.
    """

    spec: str
    class_name: str
    signal: str
    signal_is_norm: bool
    landmarks: tuple[Landmark, ...]
    forward: Listing
    entry: Listing | None
    slices: tuple[Listing, ...]
    blocks_begin: int
    blocks_end: int
    crossing: Crossing
    counts: tuple[Count, ...]
    total: int
    reused: int
    sliced: int
    extractor: str

    @property
    def listings(self) -> tuple[Listing, ...]:
        """All listings, in the order in which they run."""
        return (*([self.entry] if self.entry else []), self.forward, *self.slices)


def explain(spec: Spec, extractor: CompiledExtractor) -> Explanation:
    """Puts together what is to be shown of a cut.

    Args:
        spec: Says what to look for.
        extractor: What was compiled from it.
    """
    program = extractor.program
    source = program.extract.source
    forward = make_listing(source, _starts(program), program.landmarks)
    slices = tuple(_slices(program))
    lines = [line for line in forward.all_lines if line.kind == "code" and BLOCKS in line.parts]
    counted = forward.counted
    return Explanation(
        spec=Path(spec.document.name).name,
        class_name=program.class_name,
        signal=program.signal,
        signal_is_norm=bool(program.norm_functions),
        landmarks=program.landmarks,
        forward=forward,
        entry=_entry(program),
        slices=slices,
        blocks_begin=lines[0].number,
        blocks_end=lines[-1].number,
        crossing=_crossing(spec, program),
        counts=tuple(Count(part, sum(part in parts for parts, _ in counted)) for part in PARTS),
        total=len(counted),
        reused=sum(on_reuse for _, on_reuse in counted),
        sliced=sum(on_reuse for listing in slices for _, on_reuse in listing.counted),
        extractor=extractor.source,
    )


def _starts(program: Program) -> list[tuple[Part, frozenset[Start]]]:
    own = [function for function in program.norm_functions if function.source.node is program.extract.source.node]
    return [
        (PRELUDE, _all(program.prelude)),
        (SUNK, _all(program.sunk)),
        (NORM, frozenset().union(*(_made(function, program) for function in own))),
        (BLOCKS, _all(program.blocks)),
        (POSTLUDE, _all(program.postlude)),
    ]


def _all(statements: Sequence[Statement]) -> frozenset[Start]:
    return frozenset().union(*(statement.starts for statement in statements))


def _made(function: Function, program: Program) -> frozenset[Start]:
    """Where a slice's statements stand. That it enters the next function is none of them where blocks are called."""
    names = {other.name for other in program.norm_functions}
    is_model = function.source.owner == program.extract.source.owner
    return starts_of(statement for statement in function.body if not (is_model and _enters(statement, names)))


def _enters(statement: ast.stmt, names: set[str]) -> bool:
    """Whether a statement returns what another slice returns."""
    value = statement.value if isinstance(statement, ast.Return) else None
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in names


def _slices(program: Program) -> Iterator[Listing]:
    forward = program.extract.source
    written_out = {id(one.method.node) for one in forward.written_out}
    shown: dict[int, tuple[FunctionSource, frozenset[Start]]] = {}
    for function in reversed(program.norm_functions):
        node = function.source.node
        if node is forward.node or id(node) in written_out:
            continue
        _, starts = shown.get(id(node), (function.source, frozenset()))
        shown[id(node)] = (function.source, starts | _made(function, program))
    for source, starts in shown.values():
        listing = make_listing(source, [(NORM, starts)], program.landmarks)
        yield _in_blocks(listing, _received(program, source))


def _in_blocks(listing: Listing, received: Mapping[int, str]) -> Listing:
    """A function that the blocks call: computed steps execute all of it."""

    def in_blocks(line: Line) -> Line:
        parts = (*(part for part in line.parts if part is NORM), BLOCKS) if line.parts else ()
        given = received.get(line.number) if line.begins else None
        notes = (f"is given the modulated input: {given}",) if given is not None else ()
        return replace(line, parts=parts, notes=notes)

    return replace(listing, lines=tuple(map(in_blocks, listing.lines)))


def _received(program: Program, source: FunctionSource) -> dict[int, str]:
    """The lines of a function in which the first attention is called, with what it is given."""
    names = {other.name for other in program.norm_functions}
    bodies = [f.body for f in program.norm_functions if f.source.node is source.node]
    nodes = (node for body in bodies for statement in body for node in ast.walk(statement))
    returns = [node for node in nodes if isinstance(node, ast.Return) and node.value is not None]
    return {node.lineno: ast.unparse(node.value) for node in returns if node.value and not _enters(node, names)}


def _entry(program: Program) -> Listing | None:
    if program.dispatch is None:
        return None
    source = program.dispatch.source
    behind = starts_of(program.behind.body) if program.behind is not None else frozenset()
    parts = [(PRELUDE, starts_of(source.node.body) - behind), (POSTLUDE, behind)]
    return make_listing(source, [(part, starts) for part, starts in parts if starts], program.landmarks)


def _crossing(spec: Spec, program: Program) -> Crossing:
    live = {value.name for value in program.live}
    encoder = spec.streams.encoder if spec.blocks.style == "dual" else None
    fixed = program.postlude_function.parameters[: -len(program.live)]
    unread = encoder if encoder is not None and encoder not in live else None
    own = {node.id for node in ast.walk(program.extract.source.node) if isinstance(node, ast.Name)}
    taken = tuple(dict.fromkeys(_as_written(name, own) for name in program.blocks_function.parameters))
    return Crossing(taken, fixed, program.live, unread)


def _as_written(name: str, own: set[str]) -> str:
    """A name as the forward has it: what sank reads older values under names that the compiler gave them."""
    stem, found, number = name.rpartition("_v")
    return stem if found and number.isdigit() and name not in own and stem in own else name
