"""Reads of what blocks may leave on themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from teaspec.compiler.analysis.flow.dataflow import Reader
from teaspec.compiler.analysis.syntax.names import called_name, item_bindings, root_names, target_names
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.called import CalledName
from teaspec.compiler.forms.paths import is_within, owner_of
from teaspec.compiler.forms.source import NormPath

Read = tuple[str, "ast.AST | None"]
"""What is read, as the source has it, and where a block leaves it, where that is known."""


class BlockState:
    """Looks for reads of attributes of blocks.

    What a block's constructor alone sets, its submodules, and weights are no state.
    """

    def __init__(self, reader: Reader, loops: frozenset[str], norm: NormPath, everything: Sequence[ast.stmt]) -> None:
        """For a forward.

        Args:
            reader: Reads effects in the forward.
            loops: The lists of blocks.
            norm: The way to the first norm, which shows the class of the first block.
            everything: All statements of the forward.
        """
        self.module, self.loops, self.norm = reader.module, loops, norm
        self.self_name = reader.function.self_name
        self.names = self._block_names(everything, self.self_name)
        self.stored, self.made = _stored_attributes(norm)
        nodes = (node for statement in everything for node in walk(statement))
        self.stored |= {
            n.attr: n for n in nodes
            if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
            and self._path(n.value, self.self_name, self.names) is not None
        }  # fmt: skip

    def reads(self, node: ast.AST) -> Iterator[Read]:
        """What a node of the forward reads of what blocks hold, itself or in a method that it calls."""
        yield from self._reads(node, self.self_name, self.names, frozenset())

    def runs(self, node: ast.AST) -> bool:
        """Whether a node of the forward may run a block: itself, or in a function that it calls."""
        return any(self._runs(part) for part in walk(node) if isinstance(part, ast.Call))

    def _runs(self, call: ast.Call) -> bool:
        called = called_name(call.func, self.self_name)
        if called in _OVER | _LOOK or called == "getattr":
            return False
        parts = [call.func, *(a.value if isinstance(a, ast.Starred) else a for a in call.args)]
        parts += [keyword.value for keyword in call.keywords]
        if any(self._path(part, self.self_name, self.names) is not None for part in parts):
            return True
        summary = None if called is None else self.module.summaries.get(called)
        return summary is not None and summary.node is not None and self._names_blocks(summary.node, frozenset())

    def _names_blocks(self, function: ast.FunctionDef, seen: frozenset[CalledName]) -> bool:
        """Whether a function names a list of blocks, or calls one that does."""
        this = next((a.arg for a in [*function.args.posonlyargs, *function.args.args]), "self")
        for node in walk(function):
            if isinstance(node, ast.Attribute) and self._path(node, this, {}) is not None:
                return True
            called = called_name(node.func, this) if isinstance(node, ast.Call) else None
            summary = None if called is None or called in seen else self.module.summaries.get(called)
            if called is None or summary is None or summary.node is None:
                continue
            if self._names_blocks(summary.node, seen | {called}):
                return True
        return False

    def _reads(
        self, node: ast.AST, self_name: str, names: Mapping[str, str], seen: frozenset[CalledName]
    ) -> Iterator[Read]:
        computing = {id(part.func) for part in walk(node) if isinstance(part, ast.Call) and self._computes(part)}
        for part in walk(node):
            if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Load) and id(part) not in computing:
                owner = self._path(part.value, self_name, names)
                if owner is not None and not self._is_fixed(owner, part.attr):
                    yield ast.unparse(part), self.stored.get(part.attr)
            elif isinstance(part, ast.Call):
                yield from self._call(part, self_name, names, seen)

    def _call(
        self, node: ast.Call, self_name: str, names: Mapping[str, str], seen: frozenset[CalledName]
    ) -> Iterator[Read]:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        function = node.func.id if isinstance(node.func, ast.Name) else ""
        if function == "getattr" and len(node.args) > 1:
            owner, key = self._path(node.args[0], self_name, names), node.args[1]
            attribute = str(key.value) if isinstance(key, ast.Constant) else ""
            if owner is not None and not self._is_fixed(owner, attribute):
                yield ast.unparse(node), self.stored.get(attribute)
            return
        if function not in _OVER | _LOOK and self._path(node.func, self_name, names) is None:
            for argument in arguments:
                inner = argument.value if isinstance(argument, ast.Starred) else argument
                if self._path(inner, self_name, names) is not None:
                    yield ast.unparse(inner), None
        called = called_name(node.func, self_name)
        if called is None or called in seen or isinstance(called, str):
            return
        summary = self.module.summaries.get(called)
        if summary is not None and summary.node is not None:
            first = [*summary.node.args.posonlyargs, *summary.node.args.args][:1]
            this = first[0].arg if first else "self"
            inner_names = self._block_names(summary.node.body, this)
            for statement in summary.node.body:
                yield from self._reads(statement, this, inner_names, seen | {called})

    def _computes(self, call: ast.Call) -> bool:
        """Whether what is called, if it is in a block, computes from what it is given; a method may look up."""
        method = self.norm.frames[0].methods.get(call.func.attr) if isinstance(call.func, ast.Attribute) else None
        parts = walk(method.node) if method is not None else ()
        looks = any(isinstance(part, ast.Attribute) and part.attr in self.stored for part in parts)
        return bool(call.args or call.keywords) and not looks

    def _is_fixed(self, owner: str, attribute: str) -> bool:
        """Whether an attribute of a block, or of something in it, holds the same in every call."""
        if f"{owner}.{attribute}" in self.module.children or attribute in _FIXED or attribute in _OF_A_LIST:
            return True
        is_first_class = owner_of(owner) == self.norm.loop
        return is_first_class and attribute in self.made and attribute not in self.stored

    def _path(self, node: ast.expr, self_name: str, names: Mapping[str, str]) -> str | None:
        """The path of a block, or of a list of blocks or of what is in a block; None for anything else."""
        keys: list[str] = []
        while True:
            if isinstance(node, ast.Attribute):
                keys.append(node.attr)
            elif isinstance(node, ast.Subscript):
                if not isinstance(node.slice, ast.Slice):  # whichever it is, it is a block of that list
                    text = isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
                    keys.append(str(node.slice.value) if text else "0")  # type: ignore[attr-defined]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _OVER and node.args:
                node = node.args[0]
                continue
            else:
                break
            node = node.value
        if not isinstance(node, ast.Name) or (node.id not in names and node.id != self_name):
            return None
        start = [f"{names[node.id]}.0"] if node.id in names else []
        path = ".".join([*start, *reversed(keys)])
        return path if any(is_within(path, loop) for loop in self.loops) else None

    def _block_names(self, statements: Sequence[ast.AST], self_name: str) -> dict[str, str]:
        """The local names that may hold a block, or a list of blocks, each with the list."""
        names: dict[str, str] = {}
        nodes = [node for statement in statements for node in walk(statement)]
        while True:
            before = len(names)
            for node in nodes:
                for target, value in _bindings(node):
                    found = self._leads_to(value, self_name, names)
                    names |= dict.fromkeys(target_names(target), found) if found else {}
            if len(names) == before:
                return names

    def _leads_to(self, value: ast.expr, self_name: str, names: Mapping[str, str]) -> str:
        """The list of blocks that an expression is, or is an item of."""
        if isinstance(value, ast.Call):
            over = isinstance(value.func, ast.Name) and value.func.id in _OVER
            inner = value.args if over else []
            if isinstance(value.func, ast.Attribute) and value.func.attr in _OF_A_LIST:
                inner = [value.func.value]
            return next((found for part in inner if (found := self._leads_to(part, self_name, names))), "")
        path = self._path(value, self_name, names) or ""
        return next((loop for loop in self.loops if is_within(path, loop)), "")


def _bindings(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(node, (ast.For, ast.comprehension)):
        return item_bindings(node.target, node.iter)
    if isinstance(node, ast.Assign):
        return [(target, node.value) for target in node.targets]
    return [(node.target, node.value)] if isinstance(node, ast.NamedExpr) else []


def _stored_attributes(norm: NormPath) -> tuple[dict[str, ast.AST], set[str]]:
    """The attributes that methods of the first block set, each with where; and those that its constructor sets."""
    stored: dict[str, ast.AST] = {}
    made: set[str] = set()
    for method in norm.frames[0].methods.values():
        for node in walk(method.node):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
                continue
            if method.self_name in root_names(node):
                if method.node.name == "__init__":
                    made.add(node.attr)
                else:
                    stored[node.attr] = node
    return stored, made


_OVER = frozenset("enumerate zip reversed list tuple iter next sorted".split())
_LOOK = frozenset("len isinstance type hasattr id range".split())
_OF_A_LIST = frozenset("values items keys children named_children".split())
_FIXED = frozenset(
    "weight bias dtype device shape in_features out_features in_channels out_channels config training "
    "gradient_checkpointing forward".split()
)
"""Attributes of modules that hold what the module was made with."""
