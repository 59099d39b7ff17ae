"""A forward, cut: what the slice pass hands to emit.

Principles: a program is complete (emit decides nothing), its functions hold the model's own statements with their line
numbers, and everything that crosses a cut is a parameter.
"""

from __future__ import annotations

import ast
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Literal

from teaspec.compiler.forms.arguments import CallArguments
from teaspec.compiler.forms.landmarks import Landmark
from teaspec.compiler.forms.source import FunctionSource

Start = tuple[int, int]
"""Where a statement begins in its file: the line, and the offset in bytes as `ast` counts it."""


@dataclass(frozen=True)
class Statement:
    """A statement of the model's forward.

    Attributes:
        text: Its text, on one line.
        line: Its line in the model's file.
        starts: Where it begins and where those of the statements within it do that went the same way.
    """

    text: str
    line: int
    starts: frozenset[Start] = field(default=frozenset(), repr=False)


@dataclass(frozen=True)
class LiveValue:
    """A value that crosses from blocks to postlude.

    Attributes:
        name: Its name in the forward.
        kind: `stream`: it enters the blocks and leaves them, a residual is cached. `carried`: it is made in the blocks
            and the last computed step's value is used again.
    """

    name: str
    kind: Literal["stream", "carried"]
    maybe_unbound: bool = False
    """Whether the blocks may leave it unbound."""


@dataclass(frozen=True)
class Function:
    """A function of the generated extractor.

    Attributes:
        name: What the generated module calls it.
        parameters: What it takes after the module, in order.
        body: Its statements.
        source: The function of the model whose statements these are: names mean what they mean there.
        doc: Its docstring.
        arguments: The parameters with their defaults, where the function keeps the model's own signature.
        enters: Whether it runs in the place of a submodule's forward, whose weights it needs.
    """

    name: str
    parameters: tuple[str, ...]
    body: tuple[ast.stmt, ...] = field(repr=False)
    source: FunctionSource
    doc: str
    arguments: ast.arguments | None = field(default=None, repr=False)
    enters: bool = False


@dataclass(frozen=True)
class GeneratedNames:
    """The names that the extractor adds to the model's own, none of which the model uses."""

    extract: str
    dispatch: str
    behind: str
    result: str
    blocks: str
    postlude: str
    modulated_input: str
    finished: str
    context: str
    partial: str
    unbound: str
    decorated: str
    decorated_dispatch: str
    extractor: str
    part: str
    phase: str
    handed_on: str
    passed_by: str
    default_of: str
    entry_of: str
    first_given: str
    signal: str
    with_weights: str

    @classmethod
    def avoiding(cls, taken: Set[str]) -> GeneratedNames:
        """Chooses names that are not taken."""
        wished = {
            "extract": "extract",
            "dispatch": "dispatch",
            "behind": "behind",
            "result": "result",
            "blocks": "run_blocks",
            "postlude": "run_postlude",
            "modulated_input": "modulated_input",
            "finished": "Finished",
            "context": "CacheContext",
            "partial": "partial",
            "unbound": "UNBOUND",
            "decorated": "decorated",
            "decorated_dispatch": "decorated_dispatch",
            "extractor": "Extractor",
            "part": "Part",
            "phase": "current_phase",
            "handed_on": "HandedOn",
            "passed_by": "PassedByError",
            "default_of": "default_of",
            "entry_of": "entry_of",
            "first_given": "first_given",
            "signal": "signal",
            "with_weights": "with_weights",
        }
        return cls(**{key: _fresh(name, taken) for key, name in wished.items()})


def _fresh(name: str, taken: Set[str]) -> str:
    while name in taken or any(other.startswith(f"{name}_of_") for other in taken):
        name += "_"
    return name


@dataclass(frozen=True)
class Program:
    """What was cut where.

    Attributes:
        class_name: The model's class.
        file: The model's file, as messages show it.
        landmarks: The spec's landmarks, found.
        prelude: Statements that every step executes before the decision.
        sunk: Statements of the prelude that only computed steps execute.
        blocks: The block loops and what lies between them, without what only the postlude needs.
        postlude: Statements that every step executes after the blocks.
        dropped: Statements of the postlude that cannot reach the return value.
        live: What crosses from blocks to postlude, the hidden stream first.
        hidden: The hidden stream's name.
        encoder: The encoder stream's name where it is live, else None.
        signal: What decides: the path of the norm, or a name.
        modulated: The expression that computes the modulated input behind the prelude.
        temb: The expression for the timestep embedding; None where the forward has none, and the modulated input is the
            first value that knows the time.
        names: The names that the extractor adds.
        extract: The prelude.
        blocks_function: What sank, and the blocks.
        postlude_function: The postlude; its last parameters are the live values.
        norm_functions: The functions that compute the modulated input, innermost first.
        dispatch: The forward, where it hands on to the method that holds the loops.
        behind: What it does with what that gives; None where it returns it.
        recomputed: Statements of the blocks that the postlude runs again on every step.
        arguments: What is known of the arguments of a call; None where nobody asked.
    """

    class_name: str
    file: str
    landmarks: tuple[Landmark, ...]
    prelude: tuple[Statement, ...]
    sunk: tuple[Statement, ...]
    blocks: tuple[Statement, ...]
    postlude: tuple[Statement, ...]
    dropped: tuple[Statement, ...]
    live: tuple[LiveValue, ...]
    hidden: str
    encoder: str | None
    signal: str
    modulated: ast.expr = field(repr=False)
    temb: ast.expr | None = field(repr=False)
    names: GeneratedNames = field(repr=False)
    extract: Function = field(repr=False)
    blocks_function: Function = field(repr=False)
    postlude_function: Function = field(repr=False)
    norm_functions: tuple[Function, ...] = field(repr=False)
    dispatch: Function | None = field(repr=False)
    behind: Function | None = field(repr=False)
    recomputed: tuple[Statement, ...] = ()
    arguments: CallArguments | None = None
