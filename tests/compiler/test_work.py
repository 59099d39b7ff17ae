"""What compiling takes, counted and not timed: a statement is read once, and a tree that was read stays as it is."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Any

import pytest
import torch

import teaspec.compiler
from teaspec.compiler import analysis
from teaspec.compiler.analysis.effects import calls, containers, items, statements, summaries, views
from teaspec.compiler.analysis.effects.effects import NOTHING, Effects
from teaspec.compiler.analysis.syntax import names, walking
from teaspec.compiler.analysis.syntax.walking import children, walk
from teaspec.compiler.pipeline import compile_anew, load_spec
from tests.compiler.models import NAMES, build, spec_of, toy_spec
from tests.compiler.test_syntax import EXAMPLES
from tests.compiler.toy_runs import toys_that
from tests.toys.parts import SingleModel
from tests.toys.toy import Toy

REMEMBERED = (
    (calls, "_called"), (containers, "_own"), (items, "_iterated"), (names, "path_names"), (statements, "_read"),
    (statements, "unknown_syntax"), (summaries, "_summary"), (views, "_pairs"), (walking, "walked"),
)  # fmt: skip
"""What is kept of a tree beyond the pass that asked, by the identity of its root."""

LEFT_OUT = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)

ANALYSES = sorted(Path(analysis.__file__).parent.rglob("*.py"))


@pytest.fixture
def forgotten() -> None:
    """Nothing is known of any tree, as in a process that has compiled nothing yet."""
    for module, name in REMEMBERED:
        getattr(module, name).cache_clear()


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_is_read_once(name: str, forgotten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each thing that is known of the functions that it calls; three times at most.

    Mutation: `_read` remembers nothing. FLUX then reads 275 statements 1,408 times, one of them 23 times.
    """
    read: Counter[tuple[ast.AST, str, frozenset[Any]]] = Counter()

    def counted(rule: Callable[..., Effects]) -> Callable[..., Effects]:
        def count(reader: Any, node: ast.AST) -> Effects:
            read[node, reader.self_name, frozenset(reader.summaries.items())] += 1
            return rule(reader, node)

        return count

    for kind, rule in statements.STATEMENTS.items():
        monkeypatch.setitem(statements.STATEMENTS, kind, counted(rule))
    compile_anew(spec_of(name), build(name))
    each = Counter(node for node, _, _ in read)
    assert len(each) > 100
    assert set(read.values()) == {1}
    assert max(each.values()) <= 3


Note = tuple[str, ast.AST, str]
"""What was asked of a tree, its root, and what it was then."""


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Note]:
    """Notes every tree of which something is remembered."""
    notes: list[Note] = []

    def noted(of: str, remembered: Any) -> Any:
        def note(node: ast.AST, *rest: Any) -> Any:
            notes.append((of, node, ast.dump(node)))
            return remembered(node, *rest)

        return note

    for module, of in REMEMBERED:
        everywhere(monkeypatch, getattr(module, of), noted(of, getattr(module, of)))
    return notes


@pytest.mark.parametrize("name", NAMES)
def test_a_tree_that_was_read_is_never_changed(name: str, forgotten: None, seen: list[Note]) -> None:
    """Else what is remembered of it would be of another tree.

    Mutation: `qualified` visits the statement itself, no copy of it; the text is right, and that of the next compile
    is not.
    """
    compile_anew(spec_of(name), build(name))
    assert {of for of, _, _ in seen} == {of for _, of in REMEMBERED}
    assert [of for of, node, text in seen if ast.dump(node) != text] == []


@toys_that()
def test_a_tree_of_a_toy_is_never_changed(toy: Toy, forgotten: None, seen: list[Note]) -> None:
    """Helpers that are written out. Mutation: `_with_body` does not copy the list of statements, which goes on."""
    compile_anew(load_spec(toy.spec), toy.module())
    assert [of for of, node, text in seen if ast.dump(node) != text] == []


def half(value: torch.Tensor) -> torch.Tensor:
    return value / 2


class Nested(SingleModel):
    """A nested function reads a global, which the extractor knows by another name."""

    def forward(self, hidden_states: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        def halved(value: torch.Tensor) -> torch.Tensor:
            return half(value)

        temb = halved(self.time_embed(timestep))
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


def test_a_nested_function_that_was_read_is_never_changed(forgotten: None, seen: list[Note]) -> None:
    """Mutation: `_bound` in `qualify` reads the suite that is about to be changed, no copy of it."""
    text = compile_anew(toy_spec(Nested), Nested()).source
    assert "test_work.half(value)" in text
    assert [of for of, node, text in seen if ast.dump(node) != text] == []


def everywhere(monkeypatch: pytest.MonkeyPatch, old: Any, new: Any) -> None:
    """Puts a function in the place of another in every module of the compiler."""
    for module in modules():
        for name, value in vars(module).items():
            if value is old:
                monkeypatch.setattr(module, name, new)


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(teaspec.compiler.__path__, "teaspec.compiler."):
        yield importlib.import_module(found.name)


def test_nothing_is_remembered_without_bound() -> None:
    """Mutation: `@lru_cache(maxsize=None)` on `walked`."""
    kept = {
        f"{module.__name__}.{name}": value.cache_parameters()["maxsize"]
        for module in modules() for name, value in vars(module).items() if isinstance(value, _lru_cache_wrapper)
    }  # fmt: skip
    assert len(kept) > 10
    assert [name for name, most in kept.items() if most is None] == []


def test_walking_finds_what_python_does() -> None:
    """In its order. Mutation: `names` among the fields without nodes; on Python 3.12 also `name`, for `TypeAlias`."""
    written = [text for kind, text in EXAMPLES.items() if hasattr(ast, kind)]
    for text in [*written, *(path.read_text(encoding="utf-8") for path in ANALYSES)]:
        every = list(ast.walk(ast.parse(text)))
        assert same(walk(every[0]), [node for node in every if not isinstance(node, LEFT_OUT)])
        for node in every:
            below = [child for child in ast.iter_child_nodes(node) if not isinstance(child, LEFT_OUT)]
            assert same(children(node), below)


def same(found: list[ast.AST], expected: list[ast.AST]) -> bool:
    return list(map(id, found)) == list(map(id, expected))


SOME = {
    **{name: frozenset({"a"}) for name in "reads binds kills changes captures unbinds scoped".split()},
    "aliases": frozenset({("a", "b")}),
    **dict.fromkeys("external random raises returns ends".split(), True),
}


def test_no_effect_is_lost_on_the_way() -> None:
    """Mutation: `_merged` leaves out `unbinds`. A field that is new has to stand in it, too."""
    assert set(SOME) == {field.name for field in fields(Effects)}
    for name, value in SOME.items():
        one = Effects(**{name: value})
        other = replace(NOTHING, scoped=frozenset({"z"}))
        for joined in (one.then(other), other.then(one), one.then(NOTHING), NOTHING.then(one)):
            assert getattr(joined, name) in (value, value | other.scoped if name == "scoped" else value)
        assert getattr(one.either(one), name) == value
        assert getattr(one.maybe(), name) == (value if name not in {"kills", "ends"} else getattr(NOTHING, name))
