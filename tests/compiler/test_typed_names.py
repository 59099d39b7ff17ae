"""What the compiler keeps apart by its type, it never keeps apart by how it is spelt."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import teaspec.compiler
from teaspec.compiler.forms.called import Above, Method, Overridden
from teaspec.compiler.forms.places import Attribute, Submodule, attributes_in, in_order, local_names

COMPILER = Path(teaspec.compiler.__file__).parent
FILES = sorted(COMPILER.rglob("*.py"))

SPELL = {"forms/places.py", "forms/called.py"}
"""Say how typed names are spelt in messages."""

TAKE_APART = {
    "forms/paths.py": "the one place that takes paths apart",
    "forms/names.py": "reads what a person has written in a spec, and says what is wrong with it",
}

_OF_THE_MODEL = ("self.", "super().")
_ASKS = {"startswith", "endswith", "removeprefix", "removesuffix", "index", "find", "count"}
_CUTS = {"split", "rsplit", "partition", "rpartition"}


def _texts(node: ast.AST) -> list[str]:
    """The texts in an expression: of a tuple, of an f-string, or the one that it is."""
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _start(node: ast.JoinedStr | ast.BinOp) -> str:
    """The text that an f-string or a sum begins with."""
    first = node.left if isinstance(node, ast.BinOp) else next(iter(node.values), None)
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def spelling_asked(tree: ast.AST) -> Iterator[ast.AST]:
    """Where a kind of name is told by how it is spelt, or a name of the model is written as a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, (ast.In, ast.NotIn)) for op in node.ops):
            if not isinstance(node.left, ast.JoinedStr) and {*_texts(node.left)} & {".", "()", *_OF_THE_MODEL}:
                yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            asked = _texts(node.args[0]) if node.func.attr in _ASKS else []
            if any(text.startswith((".", *_OF_THE_MODEL)) or text.endswith((".", "()")) for text in asked):
                yield node
        elif isinstance(node, (ast.JoinedStr, ast.BinOp)) and _start(node).startswith(_OF_THE_MODEL):
            yield node


def paths_taken_apart(tree: ast.AST) -> Iterator[ast.AST]:
    """Where a text is cut at its dots."""
    for node in ast.walk(tree):
        cuts = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CUTS
        if cuts and "." in [text for argument in node.args[:1] for text in _texts(argument)]:  # type: ignore[attr-defined]
            yield node


def dispatched_by_name(tree: ast.AST) -> Iterator[ast.AST]:
    """Where an attribute is looked up by a name that was put together."""
    nodes = list(ast.walk(tree))
    made = {
        target.id
        for node in nodes
        if isinstance(node, (ast.Assign, ast.NamedExpr)) and _is_put_together(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)) and len(node.args) > 1:
            last = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            name = node.args[1]
            if last in {"getattr", "hasattr", "methodcaller"} and (
                _is_put_together(name) or (isinstance(name, ast.Name) and name.id in made)
            ):
                yield node


def _is_put_together(node: ast.expr) -> bool:
    """Whether an expression makes a text of others."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in {"format", "join", "lower", "replace"}
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and bool(_texts(node)))


def _where(path: Path, nodes: Iterator[ast.AST]) -> list[str]:
    return [f"{path.relative_to(COMPILER)}:{node.lineno}: {ast.unparse(node)}" for node in nodes]  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(COMPILER).as_posix())
def test_no_kind_of_name_is_told_by_its_spelling(path: Path) -> None:
    """Mutation: `local_names` asks `"." not in name`; `any(name.startswith("self.") ...)` in the slicer."""
    name, tree = path.relative_to(COMPILER).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
    if name not in TAKE_APART:
        assert not _where(path, paths_taken_apart(tree))
        asked = (node for node in spelling_asked(tree) if not (name in SPELL and isinstance(node, ast.JoinedStr)))
        assert not _where(path, asked)
    assert not _where(path, dispatched_by_name(tree))


@pytest.mark.parametrize(
    "text",
    [
        '"." in name', '"." not in name', 'name.startswith("self.")', 'name.startswith(("self.", "super()."))',
        'name.endswith("()")', 'path.startswith(f"{loop}.")', 'path.endswith(".data")', 'f"self.{name}"',
        '"self." + name', 'name.removeprefix("self.")',
    ],
)  # fmt: skip
def test_what_asks_for_the_spelling_is_found(text: str) -> None:
    """Of each kind one that the compiler once had, so that the test above can fail."""
    assert list(spelling_asked(ast.parse(text)))


@pytest.mark.parametrize("text", ['path.split(".")', 'path.rpartition(".")[2]', 'path.partition(".")'])
def test_what_takes_a_path_apart_is_found(text: str) -> None:
    assert list(paths_taken_apart(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        'getattr(self, f"_on_{kind}")(node)', 'getattr(self, "_on_" + kind, None)',
        'name = f"_in_{kind}"\nread = getattr(self, name, self.generic)',
        'getattr(self, "_on_{}".format(kind))', 'getattr(self, "_on_%s" % kind)',
    ],
)  # fmt: skip
def test_dispatch_by_a_made_name_is_found(text: str) -> None:
    assert list(dispatched_by_name(ast.parse(text)))


@pytest.mark.parametrize("text", ['getattr(node, "id", "")', "getattr(node, field)", "getattr(ast, _later)"])
def test_a_look_at_data_is_no_dispatch(text: str) -> None:
    assert not list(dispatched_by_name(ast.parse(text)))


def test_names_of_different_kinds_are_never_equal() -> None:
    """Mutation: `Attribute` and `Submodule` as named tuples, which are equal to each other and to plain tuples."""
    kinds = ["x", Attribute("x"), Submodule("x"), Method("x"), Above("x"), Overridden("x", "x"), ("x",)]
    assert len(set(kinds)) == len(kinds)
    assert Attribute("x") == Attribute("x") and hash(Attribute("x")) == hash(Attribute("x"))


def test_places_are_told_apart_and_ordered_as_messages_spell_them() -> None:
    """Mutation: `in_order` sorts by kind; `local_names` lets attributes pass."""
    places = {"y", Attribute("x"), Submodule("a.b"), "a", Attribute("a")}
    assert [str(place) for place in in_order(places)] == ["a", "self.a", "self.a.b()", "self.x", "y"]
    assert local_names(places) == {"a", "y"}
    assert attributes_in(places) == {Attribute("x"), Attribute("a")}
