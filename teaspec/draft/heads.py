"""Landmark 4: the first submodule of the output head."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from teaspec.compiler.analysis.flow.search import simple_statements
from teaspec.draft.reading import Reading, follows_from, self_calls, values_in


def rank_heads(module: nn.Module, reading: Reading, hidden: str) -> Iterator[str]:
    """Values of `head`, the likeliest first: what the stream goes into behind the blocks, in the order of the calls."""
    self_name = reading.forward.self_name
    streams = {hidden}
    children = {path for path, _ in module.named_modules()}
    found: dict[str, bool] = {}
    for statement in simple_statements(reading.behind):
        for path, call in reversed(list(self_calls(statement, self_name))):
            if path in children or path in reading.source.methods:
                found[path] = found.get(path, False) or bool(values_in(call) & streams)
        streams = follows_from(streams, [statement], self_name)
    yield from (path for path, streamed in found.items() if streamed)
    yield from (path for path, streamed in found.items() if not streamed)
