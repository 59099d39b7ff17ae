"""Branches and contexts that hold a block loop, cut around the loop.

`if c: a; loop` becomes `if c: a` and `if c: loop`, so that `a` may belong to the prelude and need not be carried over
from the last computed step. `with torch.autocast(...): a; loop; b` becomes three such statements.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from teaspec.compiler.analysis.effects.calls import Summaries
from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.syntax.names import last_name, self_path
from teaspec.compiler.analysis.syntax.walking import walk


def cut_branches(
    suite: Sequence[ast.stmt],
    holds_loop: Callable[[ast.stmt], bool],
    summaries: Summaries,
    self_name: str,
) -> list[ast.stmt]:
    """Cuts the `if` and `with` statements of a suite that hold block loops.

    A `with` is cut where leaving and entering its context again changes nothing; an `if` where asking twice certainly
    gives the same answer: the test calls nothing, and what stands in front of the loops changes nothing in place and
    binds nothing that it reads.

    Args:
        suite: The statements; they are left as they are.
        holds_loop: Whether a statement holds a block loop.
        summaries: What is known of the functions and methods that they may call.
        self_name: What the forward calls the model.
    """
    out: list[ast.stmt] = []
    for statement in suite:
        if isinstance(statement, ast.With) and holds_loop(statement) and _is_entered_again(statement, self_name):
            out += _contexts(statement, cut_branches(statement.body, holds_loop, summaries, self_name), holds_loop)
            continue
        if not (isinstance(statement, ast.If) and holds_loop(statement)):
            out.append(statement)
            continue
        head, then = _cut(cut_branches(statement.body, holds_loop, summaries, self_name), holds_loop)
        other_head, other = _cut(cut_branches(statement.orelse, holds_loop, summaries, self_name), holds_loop)
        heads = [*head, *other_head]
        effects = effects_of(heads, summaries, self_name)
        asked = effects_of(ast.Expr(statement.test), self_name=self_name).reads
        if not heads or effects.changes or effects.binds & asked or not _is_plain(statement.test):
            out.append(statement)
            continue
        out += [_branch(statement, head, other_head), _branch(statement, then, other)]
    return out


def _contexts(statement: ast.With, suite: Sequence[ast.stmt], holds_loop: Callable[[ast.stmt], bool]) -> list[ast.stmt]:
    holding = [index for index, part in enumerate(suite) if holds_loop(part)]
    parts = [suite[: holding[0]], suite[holding[0] : holding[-1] + 1], suite[holding[-1] + 1 :]]
    return [ast.copy_location(ast.With(items=statement.items, body=list(part)), statement) for part in parts if part]


def _is_entered_again(statement: ast.With, self_name: str) -> bool:
    """Whether the contexts of a `with` can be left and made anew in its midst, and nobody can tell."""
    bound = effects_of(statement.body, self_name=self_name).binds
    for item in statement.items:
        call = item.context_expr
        if item.optional_vars is not None or not isinstance(call, ast.Call):
            return False
        last = last_name(call.func)
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        plain = all(_is_plain(part) for part in given) and last in _CONTEXTS
        if not plain or self_path(call.func, self_name) is not None or effects_of(ast.Expr(call)).reads & bound:
            return False
    return True


_CONTEXTS = frozenset(
    "autocast no_grad enable_grad set_grad_enabled inference_mode nullcontext record_function sdpa_kernel "
    "sdp_kernel".split()
)
"""Contexts that hold for what runs in them, and keep nothing from one entering to the next."""


def _cut(
    suite: Sequence[ast.stmt], holds_loop: Callable[[ast.stmt], bool]
) -> tuple[Sequence[ast.stmt], Sequence[ast.stmt]]:
    first = next((index for index, statement in enumerate(suite) if holds_loop(statement)), 0)
    return suite[:first], suite[first:]


def _branch(statement: ast.If, then: Sequence[ast.stmt], other: Sequence[ast.stmt]) -> ast.stmt:
    if then:
        return ast.copy_location(ast.If(statement.test, list(then), list(other)), statement)
    negated = ast.copy_location(ast.UnaryOp(ast.Not(), statement.test), statement.test)
    return ast.copy_location(ast.If(negated, list(other), []), statement)


def _is_plain(test: ast.expr) -> bool:
    return all(isinstance(node, _PLAIN) for node in walk(test))


_PLAIN = (
    ast.Name, ast.Attribute, ast.Constant, ast.Compare, ast.BoolOp, ast.UnaryOp,
    ast.expr_context, ast.cmpop, ast.boolop, ast.unaryop,
)  # fmt: skip
