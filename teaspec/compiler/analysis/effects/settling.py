"""Methods that note on their module what one more call would note again: the dtype of a quantised layer, its state."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable
from functools import lru_cache

from teaspec.compiler.analysis.effects.calls import draws_random
from teaspec.compiler.analysis.effects.operations import PLAIN_ATTRIBUTES
from teaspec.compiler.analysis.syntax.names import outside_functions, parameters_of, root_names, self_path
from teaspec.compiler.analysis.syntax.walking import children
from teaspec.compiler.forms.paths import is_within, last_of, owner_of

_CONVERSIONS = frozenset("to type type_as float half bfloat16 double cpu cuda contiguous detach".split())
"""Methods that make of a tensor what they have made of it before."""

_Store = tuple[str, ast.expr]
"""The path of an attribute, and the value that is stored there."""


@lru_cache(maxsize=1024)
def settles(method: ast.FunctionDef) -> bool:
    """Whether a method that stores on its module leaves it after one call as after two, and returns the same in both.

    What it stores is made of literals, of the form of what it is given (its dtype, its shape), and of attributes that
    it does not store itself. It reads what it stores once that stands fast: behind the store, or behind a branch that
    makes up for what is missing (`if not self.is_set: ...; self.is_set = True`) and in the test of that branch. Data
    of a parameter may be put in another form at any time, and packed by a branch that asks for the state which it gets
    with the packed data.

    Args:
        method: The method. Its stores are taken to be all that it does to its module.
    """
    names = [a.arg for a in [*method.args.posonlyargs, *method.args.args]]
    return bool(names) and _Method(method, names[0]).settles()


@lru_cache(maxsize=1024)
def without_conversions(method: ast.FunctionDef) -> ast.FunctionDef:
    """A method without `bias.data = bias.data.to(x.dtype)`: whatever the name holds, one more call changes nothing.

    Args:
        method: The method. It is left as it is.
    """
    names = [a.arg for a in [*method.args.posonlyargs, *method.args.args]]
    if not names or all(_conversion(node) is None for node in _inside(method.body)):
        return method
    made: ast.FunctionDef = _WithoutConversions(_Method(method, names[0])).visit(copy.deepcopy(method))
    return made


def _conversion(node: ast.AST) -> ast.Call | None:
    """What puts the data of a local name in another form, `bias.data.to(...)`, where a statement does just that."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.value, ast.Call):
        return None
    (target,), value = node.targets, node.value
    is_data = isinstance(target, ast.Attribute) and target.attr == "data" and isinstance(target.value, ast.Name)
    if not is_data or not isinstance(value.func, ast.Attribute) or value.func.attr not in _CONVERSIONS:
        return None
    return value if ast.unparse(value.func.value) == ast.unparse(target) else None


class _WithoutConversions(ast.NodeTransformer):
    def __init__(self, method: _Method) -> None:
        self.method = method

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        converted = _conversion(node)
        if converted is None or not all(map(self.method.is_form, _given(converted))):
            return node
        return ast.copy_location(ast.Pass(), node)


class _Method:
    def __init__(self, method: ast.FunctionDef, self_name: str) -> None:
        self.self_name, self.body = self_name, method.body
        self.stores = self._stored(method.body)
        self.paths = {path for path, _ in self.stores}
        inside = list(_inside(method.body))
        bound = [n.id for n in inside if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)]
        self.own = {*bound, *parameters_of(method.args)}
        self.forms: set[str] = set()
        """The local names that hold the form of something: bound once."""
        for node in inside:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                self.forms |= {name} if bound.count(name) == 1 and self.is_form(node.value) else set()

    def settles(self) -> bool:
        targets = [
            node for node in _inside(self.body)
            if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load)
            and self.self_name in root_names(node)
        ]  # fmt: skip
        plain = len(targets) == len(self.stores)
        packed = self._packed()
        fast = all(path in packed or self._is_fast(path, value) for path, value in self.stores)
        return plain and fast and self._reads_in_time()

    def _stored(self, suite: Iterable[ast.stmt]) -> list[_Store]:
        """The attributes that plain assignments store, each with the value."""
        return [
            (path, node.value)
            for node in _inside(suite)
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
            for one in (node.targets if isinstance(node, ast.Assign) else [node.target])
            for target in (one.elts if isinstance(one, ast.Tuple) else [one])
            if isinstance(target, ast.Attribute) and (path := self_path(target, self.self_name)) is not None
        ]

    # What is stored

    def _packed(self) -> set[str]:
        """The data that a branch packs: `if not packed(state): self.weight.data, state = pack(self.weight.data)`.

        Whoever wrote that calls the layer at every step, and packs once.
        """
        found: set[str] = set()
        for branch in (node for node in _inside(self.body) if isinstance(node, ast.If)):
            asked = {node.id for node in ast.walk(branch.test) if isinstance(node, ast.Name)}
            for node in (part for part in branch.body if isinstance(part, ast.Assign)):
                gets = {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}
                given = _given(node.value) if isinstance(node.value, ast.Call) else []
                paths = {self_path(part, self.self_name) for part in given}
                if (gets - {self.self_name}) & asked:
                    found |= {path for path, _ in self._stored([node]) if path in paths and _is_data(path)}
        return found

    def _is_fast(self, path: str, value: ast.expr) -> bool:
        """Whether a value that is stored would be the same the next time."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _CONVERSIONS:
            converts = self_path(value.func.value, self.self_name) == path
            return (converts or self.is_form(value.func.value)) and all(map(self.is_form, _given(value)))
        return self.is_form(value)

    def is_form(self, value: ast.expr) -> bool:
        """Whether an expression is made of literals, of the form of what is given, of attributes that stay."""
        path = self_path(value, self.self_name)
        if path is not None:
            return not any(is_within(path, one) or is_within(one, path) for one in self.paths)
        if isinstance(value, ast.Attribute):
            return value.attr in PLAIN_ATTRIBUTES or self.is_form(value.value)
        if isinstance(value, ast.Name):
            return value.id in self.forms or value.id not in self.own
        if isinstance(value, ast.Call):
            random = draws_random(value, self.self_name)
            return not random and self.is_form(value.func) and all(map(self.is_form, _given(value)))
        parts = [part for part in children(value) if isinstance(part, ast.expr)]
        return isinstance(value, _MADE_OF_PARTS) and all(map(self.is_form, parts))

    # What is read

    def _reads_in_time(self) -> bool:
        fast = {path for path in self.paths if _is_data(path)}
        for statement in self.body:
            stored = {path for path, _ in self._stored([statement])}
            if isinstance(statement, ast.If) and self._read(statement.test) & (stored - fast):
                if not self._makes_up(statement, fast):
                    return False
                fast |= stored
            elif self._read(statement) - fast:
                return False
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
                fast |= stored
        return True

    def _makes_up(self, branch: ast.If, fast: set[str]) -> bool:
        """Whether a branch that asks for what it stores does so in one of its ways alone, and goes on behind it."""
        then, other = ({path for path, _ in self._stored(suite)} for suite in (branch.body, branch.orelse))
        returns = any(isinstance(node, (ast.Return, ast.Raise)) for node in _inside([branch]))
        return not returns and not then & other and not self._read(branch.test) - then - other - fast

    def _read(self, node: ast.AST) -> set[str]:
        """The stored attributes that are read in a node."""
        loads = [n for n in outside_functions(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)]
        read = {path for part in loads if (path := self_path(part, self.self_name)) is not None}
        return {stored for stored in self.paths if any(is_within(path, stored) for path in read)}


def _inside(suite: Iterable[ast.AST]) -> Iterable[ast.AST]:
    return (part for statement in suite for part in outside_functions(statement))


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _is_data(path: str) -> bool:
    """Whether a path is that of the data of a parameter, `weight.data`."""
    return owner_of(path) != "" and last_of(path) == "data"


_MADE_OF_PARTS = (
    ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp,
)  # fmt: skip
