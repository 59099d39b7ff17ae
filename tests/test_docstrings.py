"""The docstrings of public functions tell their arguments, their result and what they raise, in Google's style."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import teaspec

FUNCTIONS = [name for name in teaspec.__all__ if inspect.isfunction(getattr(teaspec, name))]


def missing(function: Callable[..., Any]) -> Iterator[str]:
    """The sections that a function needs, and its docstring has not."""
    text, signature = inspect.getdoc(function) or "", inspect.signature(function)
    arguments = text.partition("Args:")[2].partition("\n\n")[0]
    yield from (f"Args: {name}" for name in signature.parameters if f"{name}:" not in arguments)
    # a summary that begins with the verb needs no section of its own
    told = text.startswith(("Return", "Yield")) or "Returns:" in text or "Yields:" in text
    if signature.return_annotation not in {None, "None"} and not told:
        yield "Returns"
    if "raise " in inspect.getsource(function) and "Raises:" not in text:
        yield "Raises"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_tells_all(name: str) -> None:
    """Mutation: `stats` loses its Returns."""
    assert list(missing(getattr(teaspec, name))) == []
