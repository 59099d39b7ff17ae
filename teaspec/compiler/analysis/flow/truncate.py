"""A suite cut short: where a wanted call stands, `return` what it is given, and forget what comes after."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Sequence
from typing import TypeGuard, TypeVar

from teaspec.compiler.analysis.flow.dataflow import Reader
from teaspec.compiler.analysis.syntax.names import outside_functions
from teaspec.compiler.analysis.syntax.walking import walk

Node = TypeVar("Node", bound=ast.AST)
Leaf = Callable[[ast.AST], "ast.expr | None"]
"""For an expression or a statement without a suite: what to return in its place, None to leave it."""

LoopEntry = Callable[[ast.For], "list[ast.stmt] | None"]
"""For a loop: statements that bind its targets as its first turn does, None to leave the loop alone."""


Decide = Callable[[ast.expr], "bool | None"]
"""For the test of a branch: which way it goes, None where that is not known."""


def undecided(test: ast.expr) -> bool | None:
    """Knows of no test which way it goes."""
    return None


def truncate(
    suite: Sequence[ast.stmt], leaf: Leaf, enter_loop: LoopEntry, decide: Decide = undecided
) -> tuple[list[ast.stmt], bool]:
    """Cuts a suite short at the first place where `leaf` answers.

    Args:
        suite: The statements.
        leaf: Finds the place.
        enter_loop: Unrolls the first turn of the loops that lead there.
        decide: Knows which way branches go.

    Returns:
        The statements, and whether every way through them now returns or raises.
    """
    out: list[ast.stmt] = []
    for statement in suite:
        left, ends = _statement(statement, leaf, enter_loop, decide)
        out += left
        if ends:
            return out, True
    return out, False


def settled(suite: Sequence[ast.stmt], decide: Decide) -> list[ast.stmt]:
    """A suite without the branches whose way is known: what they lead to stands in their place."""
    out: list[ast.stmt] = []
    for statement in suite:
        way = decide(statement.test) if isinstance(statement, ast.If) else None
        if isinstance(statement, ast.If) and way is not None:
            out += settled(statement.body if way else statement.orelse, decide)
        elif isinstance(statement, ast.If):
            body = settled(statement.body, decide) or [ast.copy_location(ast.Pass(), statement)]
            left = ast.If(test=statement.test, body=body, orelse=settled(statement.orelse, decide))
            out.append(ast.copy_location(left, statement))
        else:
            out.append(statement)
    return out


def _statement(node: ast.stmt, leaf: Leaf, enter_loop: LoopEntry, decide: Decide) -> tuple[list[ast.stmt], bool]:
    if isinstance(node, ast.If):
        found = leaf(node.test)
        if found is not None:
            return [_return(found, node)], True
        way = decide(node.test)
        if way is not None:
            return truncate(node.body if way else node.orelse, leaf, enter_loop, decide)
        body, body_ends = truncate(node.body, leaf, enter_loop, decide)
        orelse, else_ends = truncate(node.orelse, leaf, enter_loop, decide)
        whole = ast.copy_location(ast.If(test=node.test, body=body, orelse=orelse), node)
        return [whole], body_ends and else_ends
    if isinstance(node, (ast.With, ast.AsyncWith)):
        body, ends = truncate(node.body, leaf, enter_loop, decide)
        return [ast.copy_location(ast.With(items=node.items, body=body), node)], ends
    if isinstance(node, ast.For):
        bindings = enter_loop(node)
        if bindings is None:
            return [node], False
        body, ends = truncate(node.body, leaf, enter_loop, decide)
        return [*bindings, *body], ends
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.While, ast.Try, ast.Match)):
        return [node], False
    choice = next((part for part in outside_functions(node) if _leads(part, leaf)), None)
    if choice is not None:
        test, ways = choice.test, (choice.body, choice.orelse)
        body, orelse = ([_replaced(node, choice, way)] for way in ways)
        return _statement(
            ast.copy_location(ast.If(test=test, body=body, orelse=orelse), node), leaf, enter_loop, decide
        )
    maybe = (value for part in outside_functions(node) if isinstance(part, ast.BoolOp) for value in part.values[1:])
    found = None if any(leaf(value) is not None for value in maybe) else leaf(node)
    if found is not None:
        return [_return(found, node)], True
    return [node], isinstance(node, (ast.Return, ast.Raise))


def _leads(node: ast.AST, leaf: Leaf) -> TypeGuard[ast.IfExp]:
    """Whether a node is a choice between two expressions, of which one at least leads to the place."""
    return isinstance(node, ast.IfExp) and (leaf(node.body) is not None or leaf(node.orelse) is not None)


def _replaced(node: Node, old: ast.expr, new: ast.expr) -> Node:
    """A node with another expression in the place of one in it; all others are the same objects."""
    made = copy.copy(node)
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            setattr(made, name, [_in_place(part, old, new) for part in value])
        else:
            setattr(made, name, _in_place(value, old, new))
    return made


def _in_place(part: object, old: ast.expr, new: ast.expr) -> object:
    if part is old:
        return new
    holds = isinstance(part, ast.AST) and any(inner is old for inner in walk(part))
    return _replaced(part, old, new) if isinstance(part, ast.AST) and holds else part


def _return(value: ast.expr, at: ast.stmt) -> ast.Return:
    return ast.copy_location(ast.Return(value=value), at)


def straighten(suite: Sequence[ast.stmt], reader: Reader) -> list[ast.stmt]:
    """Replaces branches that all return the same by that one `return`.

    The modulated input of a block does not depend on whether the block is called directly or through gradient
    checkpointing, nor on whether it is called at all: where every `return` is the same expression, and the branches
    around them bind nothing that it needs, the conditions are dropped.
    """
    returns = [n for s in suite for n in outside_functions(s) if isinstance(n, ast.Return) and n.value is not None]
    if not returns or len({ast.dump(node.value) for node in returns if node.value}) != 1:
        return list(suite)
    only = returns[0]
    # What stands behind the first branch that returns happens after the block was called.
    first = next(index for index, statement in enumerate(suite) if _returns(statement))
    straight = list(suite[:first])
    bound = reader.effects(_inner_statements([suite[first]])).binds
    needed = set(reader.effects(only).reads)
    for statement in reversed(straight):
        effects = reader.effects(statement)
        if effects.binds & needed:
            needed |= effects.reads
    return list(suite) if bound & needed else [*straight, only]


def merge_equal_branches(suite: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Replaces an `if` whose branches are the same statements by those statements."""
    out: list[ast.stmt] = []
    for statement in suite:
        if isinstance(statement, ast.If):
            body, orelse = merge_equal_branches(statement.body), merge_equal_branches(statement.orelse)
            if [ast.dump(s) for s in body] == [ast.dump(s) for s in orelse]:
                out += orelse
            else:
                out.append(ast.copy_location(ast.If(test=statement.test, body=body, orelse=orelse), statement))
        else:
            out.append(statement)
    return out


def _returns(node: ast.stmt) -> bool:
    return any(isinstance(part, ast.Return) for part in outside_functions(node))


def _inner_statements(suite: Sequence[ast.stmt]) -> list[ast.stmt]:
    # What the branches bind, without their tests and returns.
    found: list[ast.stmt] = []
    for statement in suite:
        if isinstance(statement, ast.If):
            found += _inner_statements([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.With):
            found += _inner_statements(statement.body)
        elif not isinstance(statement, ast.Return):
            found.append(statement)
    return found
