"""The four landmarks: guesses in the order of their likelihood, until the compiler accepts one of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from torch import nn

from teaspec.compiler import SpecError, compile_anew, load_spec
from teaspec.draft.blocks import rank_loops
from teaspec.draft.embedding import rank_embeddings
from teaspec.draft.heads import rank_heads
from teaspec.draft.norms import NormGuess, rank_norms
from teaspec.draft.reading import Reading, iterated, methods_with_loops, read_forward, source_of
from teaspec.draft.streams import ENCODER, HIDDEN, StreamGuess, rank_streams

Options = dict[str, list[Any]]
"""The alternatives of each landmark, by key, the likeliest first."""

_CHOICES = 4
"""How many choices of loops and streams are tried."""

_ATTEMPTS = 40
"""How many alternatives of the other landmarks are tried for each."""


@dataclass(frozen=True)
class Guess:
    """One choice of landmarks.

    Attributes:
        forward: The method that holds the loops.
        loops: The lists of blocks.
        streams: What the forward calls them, by role.
        embed: The embedding call, as a spec writes it.
        norm: The norm, and the signal.
        head: First submodule of the output head, as a spec writes it.
    """

    forward: str
    loops: tuple[str, ...]
    streams: StreamGuess
    embed: str
    norm: NormGuess
    head: str

    @property
    def style(self) -> str:
        """How the blocks are iterated."""
        return "dual" if self.streams.encoder else "single"

    def lines(self, model: str) -> dict[str, str]:
        """The keys of the spec, each with its value as text."""
        streams = {"hidden": self.streams.hidden, "encoder": self.streams.encoder or ENCODER}
        named = {role: name for role, name in streams.items() if name != {"hidden": HIDDEN, "encoder": ENCODER}[role]}
        lines = {"teaspec": "1", "model": model}
        if self.forward != "forward":
            lines["forward"] = self.forward
        lines |= {"embed": self.embed, "norm": str(self.norm)}
        lines["blocks"] = f"{{style: {self.style}, loops: [{', '.join(self.loops)}]}}"
        lines["head"] = self.head
        if self.norm.signal != "norm":
            lines["signal"] = self.norm.signal
        if named:
            lines["streams"] = f"{{{', '.join(f'{role}: {name}' for role, name in named.items())}}}"
        return lines


@dataclass(frozen=True)
class Found:
    """What the search ended with.

    Attributes:
        guess: The landmarks; of those that the compiler refuses, the likeliest.
        alternatives: What else was likely, by key.
        error: Why the compiler refuses the guess; None where it accepts it.
    """

    guess: Guess
    alternatives: dict[str, tuple[str, ...]]
    error: SpecError | None = None


class NoLandmarksError(Exception):
    """The forward iterates no list of blocks that rebinds a stream."""


def find_landmarks(model: str, module: nn.Module) -> Found:
    """Finds the landmarks that fit best: each choice is settled by compiling it, and the first that compiles is taken.

    Args:
        model: Import path of its class.
        module: An instance, on any device.

    Raises:
        NoLandmarksError: There is nothing to begin with.
        SpecError: The forward's source cannot be read.
    """
    first: Found | None = None
    for guess, alternatives in islice(_choices(model, module), _CHOICES):
        found = _settle(model, module, guess, alternatives)
        if found.error is None:
            return found
        first = first or found
    if first is None:
        raise NoLandmarksError(
            f"the forward of {type(module).__name__} iterates no list of blocks that rebinds a stream"
        )
    return first


def _choices(model: str, module: nn.Module) -> Iterator[tuple[Guess, Options]]:
    for method in methods_with_loops(source_of(model, module)):
        source = source_of(model, module, method)
        for loops in rank_loops(module, iterated(source)):
            reading = read_forward(source, loops)
            streams = list(rank_streams(reading)) if reading else []
            if reading is None or not streams:
                continue
            yield from _for_streams(model, module, reading, method, streams)


def _for_streams(
    model: str, module: nn.Module, reading: Reading, method: str, streams: list[StreamGuess]
) -> Iterator[tuple[Guess, Options]]:
    for guess in streams:
        options: Options = {
            "embed": list(rank_embeddings(module, reading, guess.hidden)),
            "norm": list(rank_norms(model, module, reading, guess)),
            "head": list(rank_heads(module, reading, guess.hidden)),
        }
        if all(options.values()):
            best: dict[str, Any] = {key: values[0] for key, values in options.items()}
            yield Guess(method, reading.loops, guess, **best), options


def _settle(model: str, module: nn.Module, guess: Guess, options: Options) -> Found:
    """Exchanges the landmark that the compiler names for its next alternative, until it accepts all of them."""
    left = {key: values[1:] for key, values in options.items()}
    first: SpecError | None = None
    current = guess
    for _ in range(_ATTEMPTS):
        error = refusal(model, module, current)
        if error is None:
            break
        first = first or error
        key = _blamed(error, left)
        if key is None:
            return Found(guess, _rest(options, guess), first)
        changes: dict[str, Any] = {key: left[key].pop(0)}
        current = replace(current, **changes)
    return Found(current, _rest(options, current))


def refusal(model: str, module: nn.Module, guess: Guess) -> SpecError | None:
    """What the compiler says against a choice of landmarks; None if it accepts it."""
    text = "".join(f"{key}: {value}\n" for key, value in guess.lines(model).items())
    try:
        compile_anew(load_spec(text), module)
    except SpecError as error:
        return error
    return None


def _blamed(error: SpecError, left: Mapping[str, Sequence[Any]]) -> str | None:
    """The landmark at whose place in the spec the first diagnostic points, as long as it has alternatives."""
    for diagnostic in error.diagnostics:
        text = diagnostic.labels[0].line_text
        key = text.partition(":")[0]
        if left.get(key):
            return key
    return None


def _rest(options: Options, guess: Guess) -> dict[str, tuple[str, ...]]:
    """What else was likely, of that which may stand in the same place with nothing else changed."""
    return {
        key: tuple(str(v) for v in values if v != getattr(guess, key) and getattr(v, "signal", "norm") == "norm")
        for key, values in options.items()
    }
