"""The docstrings of what is public tell arguments, result and what is raised, in Google's style and in one mood."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import teaspec
from teaspec.runtime.report.stats import Stats

PACKAGE = Path(teaspec.__file__).parent
PUBLIC = [getattr(teaspec, name) for name in teaspec.__all__]
FUNCTIONS = [one.__name__ for one in PUBLIC if inspect.isfunction(one)]
CLASSES = [*(one for one in PUBLIC if inspect.isclass(one)), Stats]


def missing(function: Callable[..., Any]) -> Iterator[str]:
    """The sections that a function needs, and its docstring has not."""
    text, signature = inspect.getdoc(function) or "", inspect.signature(function)
    arguments = text.partition("Args:")[2].partition("\n\n")[0]
    names = [name for name in signature.parameters if name not in {"self", "cls"}]
    yield from (f"Args: {name}" for name in names if f"{name}:" not in arguments)
    # a summary that begins with the verb needs no section of its own
    told = text.startswith(("Return", "Yield")) or "Returns:" in text or "Yields:" in text
    if signature.return_annotation not in {None, "None"} and not told:
        yield "Returns"
    yield from unsaid_errors(function)


def unsaid_errors(function: Callable[..., Any]) -> Iterator[str]:
    if "raise " in inspect.getsource(function) and "Raises:" not in (function.__doc__ or ""):
        yield "Raises"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_tells_all(name: str) -> None:
    """Mutation: `stats` loses its Returns."""
    assert list(missing(getattr(teaspec, name))) == []


def members() -> Iterator[tuple[str, Any, bool]]:
    """What public classes define for their users: its name, what it is, and whether a base class has told of it."""
    for cls in dict.fromkeys(base for one in CLASSES for base in own_bases(one)):
        for name, value in vars(cls).items():
            is_method = inspect.isfunction(value) or isinstance(value, (staticmethod, classmethod))
            if (is_method or isinstance(value, (property, cached_property))) and not name.startswith("_"):
                yield f"{cls.__name__}.{name}", value, any(name in vars(base) for base in own_bases(cls)[1:])


def own_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if base.__module__.startswith("teaspec")]


MEMBERS = {name: (value, told) for name, value, told in members()}


@pytest.mark.parametrize("name", MEMBERS)
def test_a_public_method_tells_all(name: str) -> None:
    """A property tells what it is. An override has the arguments of what it overrides, and tells what it does itself.

    Mutations: `TeaCacheHook.expect` loses its Args; `Budget.init` its Raises; `Mask.decide` all of it.
    """
    value, told = MEMBERS[name]
    function = getattr(value, "fget", None) or getattr(value, "func", None) or getattr(value, "__func__", value)
    assert re.match(r"[A-Z`].+\.$", (function.__doc__ or "").partition("\n")[0])
    if isinstance(value, (property, cached_property)):
        return
    assert list(unsaid_errors(function) if told else missing(function)) == []


def test_there_are_many_of_them() -> None:
    assert len(MEMBERS) > 60


def summaries() -> Iterator[tuple[str, str]]:
    """Where a function is, and the first word of what is said of it; the help of a command is spoken to its user."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                decorators = " ".join(map(ast.unparse, node.decorator_list))
                word = re.match(r"[A-Z][a-z]+\b", ast.get_docstring(node) or "")
                if word is not None and not re.search(r"\bapp\.|property", decorators):
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno}", word[0]


def test_one_mood_throughout() -> None:
    """`Finds`, not `Find`: a word that others say in the third person. Mutation: `Find the source` in `resolve`."""
    found = dict(summaries())
    words = set(found.values())
    assert len(found) > 1000
    assert [where for where, word in found.items() if {f"{word}s", f"{word}es"} & words] == []


DEFINITION = re.compile(r"^ {4,}\*{0,2}(\w+): (?:The|Its|A|An|Their) ([\w ]+)\.$", re.MULTILINE)


def test_no_argument_is_told_by_its_own_name_alone() -> None:
    """`spec: The spec.` tells nothing. Mutation: just that, in `find_transformer`."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                for name, said in DEFINITION.findall(ast.get_docstring(node, clean=False) or ""):
                    if set(said.lower().split()) <= {*name.lower().split("_"), "of", "the", "model"}:
                        found.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}: {name}")
    assert found == []
