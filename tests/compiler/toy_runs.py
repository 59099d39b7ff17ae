"""The toys' calls, and what their forwards do with them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from torch import nn

from teaspec.compiler.pipeline import compile_spec, load_spec
from tests.compiler.split import Outcome, forward, observe
from tests.toys.shelf import GOOD
from tests.toys.toy import Call, Toy, draws


def toys_that(holds: Callable[[Toy], object] = lambda toy: True) -> pytest.MarkDecorator:
    """Runs a test with every toy that has to compile and for which `holds` does."""
    chosen = [toy for toy in GOOD if not toy.may_refuse and holds(toy)]
    return pytest.mark.parametrize("toy", chosen, ids=lambda toy: toy.name)


@functools.cache
def _compiled(toy_index: int) -> Any:
    toy = GOOD[toy_index]
    return compile_spec(load_spec(toy.spec), toy.module())


def extractor_of(toy: Toy) -> Any:
    """The compiled extractor."""
    return _compiled(GOOD.index(toy))


@dataclass(frozen=True)
class Run:
    """One call of a toy and what the forward does with it."""

    make: Callable[[], nn.Module]
    call: Call
    expected: Outcome


@functools.cache
def _runs(toy_index: int, kind: str) -> list[Run]:
    toy = GOOD[toy_index]
    source = getattr(toy, kind)
    found = []
    for draw in draws():
        for prepare in toy.prepare:
            make = functools.partial(toy.module, draw.dtype, prepare)
            found += [Run(make, call, observe(make(), call, forward)) for call in (source(draw) if source else [])]
    return found


def runs(toy: Toy, kind: str = "calls") -> list[Run]:
    """Every size, dtype, setting and call of a toy; `kind` is `calls`, `raising` or `raising_in_blocks`."""
    found = _runs(GOOD.index(toy), kind)
    assert all((run.expected.error is None) == (kind == "calls") for run in found)
    return found


def assert_same(found: Outcome, expected: Outcome) -> None:
    """Fails with the names of what differs."""
    differences = found.differences(expected)
    assert not differences, "\n".join(
        f"{name}: {getattr(found, name)!r}\n  expected {getattr(expected, name)!r}" for name in differences
    )
