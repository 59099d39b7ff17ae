"""What the rules under `bypass` say of all other calls: which arguments they surely pass as None, or as false."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence

from teaspec.compiler.analysis.flow.constants import Known, decided
from teaspec.compiler.analysis.flow.dataflow import Reader
from teaspec.compiler.analysis.syntax.names import bound_names


def of_a_cut_call(reader: Reader, bypass: Sequence[str]) -> Known:
    """What the arguments surely hold in a call that does not pass by the cache.

    Nothing is known of a name that the forward binds anew. A rule sees what a call passes, so that nothing is known,
    either, of an argument whose default says otherwise.

    Args:
        reader: Reads effects in the forward.
        bypass: The rules by which calls pass by the cache.
    """
    bound = bound_names(reader.function.node.body)
    rules = [tuple(part.strip() for part in rule.partition("=")) for rule in bypass]
    defaults = _defaults(reader.function.node.args)
    nones = {name for name, equals, _ in rules if not equals and _is_left_out(defaults.get(name), none=True)}
    false = {name for name, _, value in rules if value.lower() == "true" and _is_left_out(defaults.get(name))}
    absent, self_name = reader.module.absent, reader.function.self_name
    return Known(absent, self_name, nones=frozenset(nones - bound), false=frozenset(false - bound))


def without_bypassed(suite: Sequence[ast.stmt], known: Known, error: str) -> list[ast.stmt]:
    """Statements in which the branches that only calls take which pass by the cache are errors.

    Args:
        suite: The statements.
        known: What `of_a_cut_call` says.
        error: The name of what is raised there, so that no such call gets a wrong answer from an extractor that
            somebody asks in spite of the rules.
    """
    said = Known(frozenset(), known.self_name, nones=known.nones, false=known.false)
    return list(_left(suite, said, error)) if said.nones or said.false else list(suite)


def _left(suite: Sequence[ast.stmt], said: Known, error: str) -> Iterator[ast.stmt]:
    for statement in suite:
        way = decided(statement.test, said) if isinstance(statement, ast.If) else None
        if isinstance(statement, ast.If) and way is not None and (statement.orelse if way else statement.body):
            test = ast.UnaryOp(ast.Not(), statement.test) if way else statement.test
            raised = ast.Raise(ast.Call(ast.Name(error, ast.Load()), [ast.Constant(ast.unparse(test))], []), None)
            passed = ast.If(ast.copy_location(test, statement.test), [raised], [])
            yield ast.fix_missing_locations(ast.copy_location(passed, statement))
            yield from _left(statement.body if way else statement.orelse, said, error)
        else:
            yield _inside(statement, said, error)


def _inside(statement: ast.stmt, said: Known, error: str) -> ast.stmt:
    """A statement, and in its suites what is left of them; itself where that is all."""
    made = statement
    for field in ("body", "orelse") if isinstance(statement, (ast.If, ast.For, ast.While, ast.With)) else ():
        suite: list[ast.stmt] = getattr(statement, field, [])
        left = list(_left(suite, said, error))
        if any(one is not before for one, before in zip(left, suite, strict=False)):
            made = copy.copy(made)
            setattr(made, field, left)
    return made


def _defaults(arguments: ast.arguments) -> dict[str, ast.expr]:
    positional = [*arguments.posonlyargs, *arguments.args]
    last = positional[len(positional) - len(arguments.defaults) :]
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    found = {argument.arg: default for argument, default in zip(last, arguments.defaults, strict=True)}
    return found | {argument.arg: default for argument, default in keywords if default is not None}


def _is_left_out(default: ast.expr | None, *, none: bool = False) -> bool:
    """Whether an argument that is not passed is None, or at least false; so is one that has to be passed."""
    if default is None:
        return True
    return isinstance(default, ast.Constant) and (default.value is None if none else not default.value)
