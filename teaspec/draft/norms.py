"""Landmark 2: the norm of the first block."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from torch import nn

from teaspec.compiler.analysis.flow.search import simple_statements, without_docstring
from teaspec.compiler.analysis.syntax.names import parameters_of
from teaspec.compiler.forms.source import FunctionSource, ModuleSource
from teaspec.compiler.report import SpecError
from teaspec.draft.blocks import first_block
from teaspec.draft.reading import Reading, follows_from, names_in, self_calls, source_of
from teaspec.draft.streams import StreamGuess

_NORM = re.compile(r"norm|(^|_)ln(_|$|\d)|ada_?ln|film", re.IGNORECASE)
_ATTENTION = re.compile(r"attn|attention|mha|mixer", re.IGNORECASE)
_DEPTH = 4


@dataclass(frozen=True)
class NormGuess:
    """A guess at the norm.

    Attributes:
        path: The value of `norm`.
        signal: The value of `signal`: `attention` where the norm is no submodule, and its reader is named.
    """

    path: str
    signal: str = "norm"

    def __str__(self) -> str:
        """The path, as a spec writes it."""
        return self.path


def rank_norms(model: str, module: nn.Module, reading: Reading, streams: StreamGuess) -> Iterator[NormGuess]:
    """Values of `norm`, the likeliest first: the norms of the first block in the order in which they are called.

    Last comes the first attention: its input is a norm's result, too, where the norm is a mere function.
    """
    loop = streams.loop
    index, block = first_block(module, loop, backwards=_backwards(reading, loop))
    seen: set[str] = set()
    place = _place(reading, streams)
    found = list(_norms(model, block, place, 0))
    for wanted in (True, False):  # those that are given the stream, then the others
        for path, streamed in found:
            if streamed is wanted and path not in seen:
                seen.add(path)
                yield NormGuess(f"{loop}.{index}.{path}")
    for path in islice(_attentions(model, block, place), 1):
        yield NormGuess(f"{loop}.{index}.{path}", "attention")


def _backwards(reading: Reading, loop: str) -> bool:
    """Whether a forward begins with the last block of a list."""
    iterables = (site.node.iter for site in reading.sites(loop))
    return any(re.search(r"^reversed\(|\[::-1\]$", ast.unparse(iterable)) for iterable in iterables)


def _place(reading: Reading, streams: StreamGuess) -> str | int:
    """As which argument a block is given the hidden stream: its keyword or its position."""
    for site in reading.sites(streams.loop):
        block = {part.id for part in ast.walk(site.node.target) if isinstance(part, ast.Name)}
        for call in (part for part in ast.walk(site.node) if isinstance(part, ast.Call)):
            for keyword in call.keywords:
                if keyword.arg and streams.hidden in names_in(keyword.value):
                    return keyword.arg
            given = [names_in(value) for value in call.args]
            start = next((i + 1 for i, names in enumerate(given) if names & block), 0)
            if streams.hidden in _plain(call.args):
                return next(i for i, names in enumerate(given) if streams.hidden in names) - start
    return 0


def _norms(model: str, block: nn.Module, place: str | int, depth: int) -> Iterator[tuple[str, bool]]:
    """The norms that a module calls, each with whether the stream goes into it."""
    if depth > _DEPTH:
        return
    try:
        source = source_of(model, block)
    except SpecError:
        return
    yield from _norms_of(model, block, source, source.forward, place, depth)


def _attentions(model: str, block: nn.Module, place: str | int) -> Iterator[str]:
    """The attentions that a block calls on what it makes of the stream."""
    try:
        source = source_of(model, block)
    except SpecError:
        return
    body = without_docstring(source.forward.node.body)
    streams = follows_from([_own(source.forward, place)], body, source.forward.self_name)
    children = dict(block.named_children())
    for statement in simple_statements(body):
        for path, call in self_calls(statement, source.forward.self_name):
            child = children.get(path)
            named = child is not None and any(_ATTENTION.search(name) for name in (path, type(child).__name__))
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            if named and not _is_norm(path, children[path]) and any(names_in(value) & streams for value in given):
                yield path


def _own(function: FunctionSource, place: str | int) -> str:
    """What a function calls the argument at a place."""
    if isinstance(place, str):
        return place
    return dict(enumerate(parameters_of(function.node.args)[1:])).get(place, "")


def _norms_of(
    model: str, block: nn.Module, source: ModuleSource, function: FunctionSource, place: str | int, depth: int
) -> Iterator[tuple[str, bool]]:
    """The norms that a method of a module calls, and the methods that it calls in turn."""
    body = without_docstring(function.node.body)
    own = _own(function, place)
    streams = follows_from([own], body, function.self_name)
    children = dict(block.named_modules())
    modulators = set(_modulators(body, children, function.self_name))
    for statement in simple_statements(body):
        for path, call in reversed(list(self_calls(statement, function.self_name))):
            child, method = children.get(path), source.methods.get(path)
            if child is None:
                if method is not None and depth < _DEPTH:
                    yield from _norms_of(model, block, source, method, _place_in(call, own), depth + 1)
                continue
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            streamed = any(names_in(value) & streams for value in given[:1]) or own in _plain(given)
            if _is_norm(path, child):
                # what a modulator is about to scale and shift is not yet what the attention receives
                yield from ((behind, streamed) for first, behind in modulators if first == path)
                yield path, streamed
            elif not _is_plain(child):
                for inner, inner_streamed in _norms(model, child, _place_in(call, own), depth + 1):
                    yield f"{path}.{inner}", streamed and inner_streamed


def _modulators(
    body: Sequence[ast.stmt], children: Mapping[str, nn.Module], self_name: str
) -> Iterator[tuple[str, str]]:
    """Norms whose result goes straight into another one together with a condition: each with that."""
    made: dict[str, str] = {}
    for statement in simple_statements(body):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
            continue
        path, call = next(self_calls(statement.value, self_name), ("", statement.value))
        if call is not statement.value or path not in children or not _is_norm(path, children[path]):
            continue
        first = next(iter(call.args), None)
        if isinstance(first, ast.Name) and first.id in made and len(call.args) + len(call.keywords) > 1:
            yield made[first.id], path
        made |= dict.fromkeys(_plain(list(statement.targets)), path)


def _place_in(call: ast.Call, name: str) -> str | int:
    """As which argument a call passes a name."""
    for keyword in call.keywords:
        if keyword.arg and name in names_in(keyword.value):
            return keyword.arg
    return next((i for i, value in enumerate(call.args) if name in names_in(value)), 0)


def _plain(values: list[ast.expr]) -> set[str]:
    return {value.id for value in values if isinstance(value, ast.Name)}


def _is_norm(path: str, child: nn.Module) -> bool:
    name = path.rpartition(".")[2]
    return bool(_NORM.search(name) or _NORM.search(type(child).__name__)) and not any(
        _ATTENTION.search(type(part).__name__) for part in child.modules()
    )


def _is_plain(child: nn.Module) -> bool:
    return type(child).__module__.startswith("torch.") or not any(True for _ in child.children())
