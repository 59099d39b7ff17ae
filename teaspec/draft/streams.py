"""Which names of a forward are its streams: what the blocks are given and rebind."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.flow.search import simple_statements
from teaspec.draft.reading import Reading, follows_from, names_in, ordered_targets

HIDDEN, ENCODER = "hidden_states", "encoder_hidden_states"


@dataclass(frozen=True)
class StreamGuess:
    """A guess at what the block loops thread, by what they rebind.

    Attributes:
        hidden: The name of the hidden stream.
        encoder: The name of the encoder stream; None where there is one stream.
        loop: The first loop that rebinds the hidden stream.
    """

    hidden: str
    encoder: str | None
    loop: str


def rank_streams(reading: Reading) -> Iterator[StreamGuess]:
    """Choices of streams, the likeliest first."""
    live = reading.read_behind()
    returned = list(_returned(reading)) or [(reading.loops[0], [name]) for name in _made(reading, live)]
    rebound = list(dict.fromkeys(name for _, names in returned for name in names))
    timed = follows_from(reading.times, reading.before, reading.forward.self_name)
    latents = next((name for name in reading.parameters if name not in reading.times), "")
    noisy = follows_from([latents], reading.before, reading.forward.self_name)
    # what the head reads, under its usual name, then what is made of the latents, then what the time goes into
    hidden = sorted(
        rebound,
        key=lambda n: (n not in live, n != HIDDEN, n == ENCODER, n not in noisy, n not in timed, rebound.index(n)),
    )
    for name in hidden:
        loop = next(loop for loop, names in returned if name in names)
        together = [n for _, names in returned if name in names for n in names if n != name]
        for other in sorted(set(together), key=lambda n: (n != ENCODER, rebound.index(n))):
            yield StreamGuess(name, other, loop)
        yield StreamGuess(name, None, loop)
        if ENCODER in rebound and ENCODER not in {name, *together}:
            yield StreamGuess(name, ENCODER, loop)


def _returned(reading: Reading) -> Iterator[tuple[str, list[str]]]:
    """What is bound to the results of blocks, and had a value before and goes into the loop: each with its loop."""
    known = reading.bound_before()
    for loop in reading.loops:
        for site in reading.sites(loop):
            block = {part.id for part in ast.walk(site.node.target) if isinstance(part, ast.Name)}
            read = {name for statement in site.node.body for name in names_in(statement)}
            for statement in simple_statements(site.node.body):
                if isinstance(statement, ast.Assign) and names_in(statement.value) & block:
                    names = [name for target in statement.targets for name in ordered_targets(target)]
                    if streams := [name for name in names if name in known & read]:
                        yield loop, streams


def _made(reading: Reading, live: set[str]) -> list[str]:
    """For loops that hand their result on under another name: what they bind anew and the head reads."""
    between = reading.body[reading.first : reading.last + 1]
    bound = effects_of(between, self_name=reading.forward.self_name).binds
    return sorted(reading.bound_before() & live & bound)
