"""Names in expressions and targets: what a store binds, what of the model an expression names."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from teaspec.compiler.analysis.syntax.walking import children, walk, walked
from teaspec.compiler.forms.called import Above, CalledName, Method
from teaspec.compiler.forms.paths import first_of
from teaspec.compiler.forms.places import Attribute

NO_NAMES: Mapping[str, str] = {}


def self_attribute(node: ast.expr, self_name: str = "self") -> Attribute | None:
    """The attribute of the model that an expression is, else None."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == self_name:
        return Attribute(node.attr)
    return None


def super_attribute(node: ast.AST) -> str | None:
    """`name` for `super().name`, else None."""
    owner = node.value.func if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) else None
    is_super = isinstance(owner, ast.Name) and owner.id == "super"
    return node.attr if is_super and isinstance(node, ast.Attribute) else None


def called_name(func: ast.expr, self_name: str) -> CalledName | None:
    """What summaries know a called function by; None for what has no such name."""
    if isinstance(func, ast.Name):
        return func.id
    above = super_attribute(func)
    if above is not None:
        return Above(above)
    attribute = self_attribute(func, self_name)
    return Method(attribute.name) if attribute is not None else None


def self_path(node: ast.AST, self_name: str = "self", known: Mapping[str, str] = NO_NAMES) -> str | None:
    """The dotted path below the model that an expression names, or None.

    `self.encoder.layers` is `encoder.layers`; items are parts of the path as in `state_dict`: `self.modes["image"][0]`
    is `modes.image.0`.

    Args:
        node: The expression.
        self_name: What the method calls the model.
        known: Local names that stand for such a path.
    """
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            parts.append(str(node.slice.value))
        else:
            break
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    if node.id == self_name:
        return ".".join(reversed(parts)) if parts else None
    return ".".join([known[node.id], *reversed(parts)]) if node.id in known else None


@lru_cache(maxsize=1024)
def path_names(function: ast.FunctionDef, self_name: str) -> dict[str, str]:
    """The local names of a function that stand for a path below the model: bound once, to nothing else."""
    bound: dict[str, list[ast.expr | None]] = {}
    for node in walked(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            bound.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.setdefault(node.id, [])
    times = Counter(n.id for n in walked(function) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load))
    found: dict[str, str] = {}
    for name, values in bound.items():
        path = self_path(values[0], self_name) if len(values) == 1 and times[name] == 1 and values[0] else None
        if path is not None:
            found[name] = path
    return found


def last_name(func: ast.expr) -> str:
    """The last name of what is called: `f` of `f(...)` and of `a.b.f(...)`; "" for what has none."""
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else ""


def imported_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The names that an import binds: of `import a.b`, the first."""
    return [alias.asname or first_of(alias.name) for alias in node.names]


def target_names(target: ast.expr) -> set[str]:
    """The plain names that a store to `target` binds."""
    if isinstance(target, ast.Name):
        return {target.id}
    if isinstance(target, (ast.Tuple, ast.List)):
        return {name for element in target.elts for name in target_names(element)}
    if isinstance(target, ast.Starred):
        return target_names(target.value)
    return set()


def item_bindings(target: ast.expr, iterable: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """What a loop binds: each target with what it is an item of, as far as `zip`, `enumerate` and the like show it."""
    call = iterable if isinstance(iterable, ast.Call) and iterable.args else None
    name = call.func.id if call is not None and isinstance(call.func, ast.Name) else ""
    pair = target.elts if isinstance(target, ast.Tuple) else []
    if call is not None and name == "enumerate" and len(pair) == 2:
        return item_bindings(pair[1], call.args[0])
    if call is not None and name == "zip" and len(pair) == len(call.args):
        return [one for t, i in zip(pair, call.args, strict=True) for one in item_bindings(t, i)]
    if call is not None and name in {"list", "tuple", "iter", "reversed", "sorted"}:
        return item_bindings(target, call.args[0])
    return [(target, iterable)]


def root_names(node: ast.expr) -> set[str]:
    """The names at the root of an access path: `a.b[i]` -> {a}. Through a call, every name that goes into it."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    if isinstance(node, ast.Name):
        return {node.id}
    return {n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what lies in it, bodies of nested functions and classes left out."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        if not isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting += reversed(children(one))


def calls_in_order(node: ast.AST) -> Iterator[ast.Call]:
    """The calls in a statement or expression, in the order in which they are evaluated; suites and lambdas left out."""
    for child in children(node):
        if not isinstance(child, (ast.stmt, ast.Lambda)):
            yield from calls_in_order(child)
    if isinstance(node, ast.Call):
        yield node


def parameters_of(arguments: ast.arguments) -> list[str]:
    """The names of all parameters of a function."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [a.arg for a in every] + [a.arg for a in (arguments.vararg, arguments.kwarg) if a]


def bound_names(body: Iterable[ast.stmt]) -> set[str]:
    """The names that a function's own statements bind, in its own scope."""
    found: set[str] = set()
    for statement in body:
        inner = {
            id(name) for part in walk(statement) if isinstance(part, ast.comprehension) for name in walk(part.target)
        }
        for node in outside_functions(statement):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and id(node) not in inner:
                found.add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found |= set(imported_names(node))
            elif (isinstance(node, ast.ExceptHandler) and node.name) or (
                isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name
            ):
                found.add(node.name)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                found.add(node.rest)
    return found
