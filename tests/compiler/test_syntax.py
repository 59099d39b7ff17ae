"""Every kind of syntax that the running Python has is read by a rule of its own, and any other is refused."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest

from teaspec.compiler.analysis.effects.statements import effects_of, unknown_syntax
from teaspec.compiler.analysis.effects.summaries import stores_in, summaries_of
from teaspec.compiler.analysis.syntax.unknown import UnknownSyntaxError
from teaspec.compiler.analysis.writing.inlining import written_out
from teaspec.compiler.passes.locate import locate
from teaspec.compiler.passes.resolve import resolve
from teaspec.compiler.report import SpecError
from tests.compiler.models import toy_spec
from tests.toys.refused_landmarks import Plain

EXAMPLES = {
    "BoolOp": "a and b", "NamedExpr": "(n := a)", "BinOp": "a + b", "UnaryOp": "-a", "Lambda": "lambda x: a",
    "IfExp": "a if b else c", "Dict": "{a: b}", "Set": "{a}", "ListComp": "[a for i in b]", "SetComp": "{a for i in b}",
    "DictComp": "{a: b for i in c}", "GeneratorExp": "(a for i in b)", "Await": "await a", "Yield": "yield a",
    "YieldFrom": "yield from a", "Compare": "a < b", "Call": "f(a)", "FormattedValue": "f'{a}'", "JoinedStr": "f'{a}'",
    "Constant": "a, 1", "Attribute": "a.b", "Subscript": "a[b]", "Starred": "[*a]", "Name": "a", "List": "[a]",
    "Tuple": "(a,)", "Slice": "b[a:]", "TemplateStr": "t'{a}'", "Interpolation": "t'{a}'",
    "FunctionDef": "def g(x=a): pass", "AsyncFunctionDef": "async def g(x=a): pass", "ClassDef": "class g(a): pass",
    "Return": "return a", "Delete": "del a", "Assign": "n = a", "TypeAlias": "type N = a", "AugAssign": "n += a",
    "AnnAssign": "n: int = a", "For": "for i in a: pass", "AsyncFor": "async for i in a: pass",
    "While": "while a: pass", "If": "if a: pass", "With": "with a: pass", "AsyncWith": "async with a: pass",
    "Raise": "raise a",
    "Match": "match a:\n  case 1: pass", "Try": "try: a\nexcept E: pass", "TryStar": "try: a\nexcept* E: pass",
    "Assert": "assert a", "Expr": "a",
    "MatchValue": "match s:\n  case a.k: pass", "MatchMapping": "match s:\n  case {a.k: v, **rest}: pass",
    "MatchClass": "match s:\n  case a(1): pass", "MatchSequence": "match s:\n  case [a.k, *other]: pass",
    "MatchOr": "match s:\n  case 1 | a.k: pass", "MatchAs": "match s:\n  case a.k as n: pass",
    "MatchStar": "match s:\n  case [a.k, *n]: pass",
}  # fmt: skip
"""For each kind of node, text that holds one and reads `a`."""

READ_NOTHING = frozenset("Import ImportFrom Global Nonlocal Pass Break Continue MatchSingleton".split())


def kinds() -> Iterator[str]:
    """The kinds of nodes that the running Python makes."""
    for base in (ast.expr, ast.stmt, ast.pattern):
        for kind in base.__subclasses__():
            if kind.__module__ == "ast" or kind.__module__ == "_ast":
                yield kind.__name__


@pytest.mark.parametrize("kind", sorted(set(kinds()) - READ_NOTHING))
def test_every_kind_of_node_is_read(kind: str) -> None:
    """Red if `_in_pattern` leaves out the keys of a mapping, or if a kind has no rule and is passed over."""
    parsed = ast.parse(EXAMPLES[kind]).body
    assert kind in {type(node).__name__ for statement in parsed for node in ast.walk(statement)}
    assert "a" in effects_of(parsed).reads
    assert not [node for statement in parsed for node in unknown_syntax(statement)]


@pytest.mark.parametrize("text", ["import a", "from a import b", "pass", "while 1:\n  break", "while 1:\n  continue"])
def test_what_reads_nothing_is_known_too(text: str) -> None:
    assert effects_of(ast.parse(text).body).reads == frozenset()


def test_patterns_bind_and_share() -> None:
    effects = effects_of(ast.parse("match s:\n  case {a.k: v, **rest}: pass\n  case [b, *c] as d: pass").body)
    assert effects.binds == {"v", "rest", "b", "c", "d"}
    assert {(name, "s") for name in effects.binds} <= effects.aliases


def test_of_a_chain_of_comparisons_only_the_first_is_sure_to_run() -> None:
    effects = effects_of(ast.parse("a < (b := c) < (d := e)").body)
    assert effects.binds == {"b", "d"}
    assert effects.kills == {"b"}


class Novel(ast.stmt):
    """A statement of a Python to come."""

    _fields = ()


class NovelExpression(ast.expr):
    """An expression of a Python to come."""

    _fields = ()


class NovelPattern(ast.pattern):
    """A pattern of a Python to come."""

    _fields = ()


def novel() -> list[ast.stmt]:
    case = ast.match_case(NovelPattern(), None, [ast.Pass()])
    return [Novel(), ast.Expr(NovelExpression()), ast.Match(ast.Name("s", ast.Load()), [case])]


@pytest.mark.parametrize("index", range(3))
def test_unknown_syntax_is_no_empty_statement(index: int) -> None:
    """Red if `expression`, `statement` or `_in_pattern` passes over what it does not know."""
    statement = novel()[index]
    assert len(list(unknown_syntax(statement))) == 1
    with pytest.raises(UnknownSyntaxError):
        effects_of(statement)


def _with_novelty(node: ast.FunctionDef) -> ast.FunctionDef:
    first = node.body[0]
    made = copy.copy(node)
    made.body = [ast.copy_location(Novel(), first), *node.body]
    return made


@pytest.mark.parametrize("where", ["forward", "block"])
def test_a_forward_in_unknown_syntax_is_refused_with_its_line(where: str) -> None:
    """Red if locate does not look at the frames of the norm."""
    spec = toy_spec(Plain)
    source = resolve(spec, Plain())
    owner = source.model if where == "forward" else source.norm.frames[0]
    changed = replace(owner, forward=replace(owner.forward, node=_with_novelty(owner.forward.node)))
    if where == "forward":
        source = replace(source, model=changed, entry=changed.forward)
        assert written_out(changed.forward, changed.methods, spec.blocks.loops) is changed.forward
    else:
        source = replace(source, norm=replace(source.norm, frames=(changed,)))
    with pytest.raises(SpecError) as caught:
        locate(spec, source)
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["unknown-syntax"]
    assert "`Novel`" in str(caught.value)
    assert caught.value.diagnostics[0].labels[1].span.line == owner.forward.node.body[0].lineno


def test_a_helper_in_unknown_syntax_may_do_anything() -> None:
    """Red if a function that cannot be read counts as one that does nothing."""
    helper = ast.parse("def helper(x, y): return x").body[0]
    assert isinstance(helper, ast.FunctionDef)
    helper.body = [Novel(), *helper.body]
    summary = summaries_of({}, {"helper": [helper]})["helper"]
    assert summary.random and summary.external
    assert summary.changes == {0, 1, "x", "y"}
    assert stores_in(helper)


@pytest.mark.parametrize(
    "text",
    [
        "self.seen = x",
        "self.seen[0] = x",
        "self.seen.append(x)",
        "self.seen.copy_(x)",
        "held = self.seen; held[0] = x",
        "held = self.seen; held.append(x)",
        "held = self.seen; held += x",
        "held = self.seen; held.copy_(x)",
        "held = self.seen; other = held; other.append(x)",
    ],
)
def test_what_a_method_changes_under_another_name_is_its_module_s(text: str) -> None:
    """Red if names are not followed to the attribute, or one name far only (`_plainly_attributes`)."""
    (method,) = ast.parse(f"def forward(self, x): {text}").body
    assert isinstance(method, ast.FunctionDef)
    assert stores_in(method)


def test_what_a_method_makes_is_its_own() -> None:
    (method,) = ast.parse("def forward(self, x): held = self.seen - x; held.mul_(2); return held").body
    assert isinstance(method, ast.FunctionDef)
    assert not stores_in(method)
