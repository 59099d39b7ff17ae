"""Where the values of expressions come from."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from teaspec.compiler.analysis.effects.calls import Summaries
from teaspec.compiler.analysis.effects.operations import ITERATORS, PLAIN_ATTRIBUTES
from teaspec.compiler.analysis.flow.origins import FIXED, Level, Origin, computed, displayed, holding, joined
from teaspec.compiler.analysis.syntax.names import last_name, root_names, self_attribute, self_path, target_names
from teaspec.compiler.analysis.syntax.walking import children, walk
from teaspec.compiler.forms.paths import first_of, is_within, owner_of

State = dict[str, Origin]


@dataclass
class World:
    """What a trace knows of the model.

    Attributes:
        loops: The paths of the lists of blocks.
        stateful: The paths of submodules that change themselves when called.
        summaries: What is known of functions that are called.
        modules: Names that are bound to modules, with the name of each.
        attributes: Where the values of attributes of the model come from that were bound.
    """

    loops: frozenset[str]
    stateful: frozenset[str]
    summaries: Summaries
    modules: Mapping[str, str]
    attributes: State = field(default_factory=dict)

    def is_blocks(self, path: str) -> bool:
        """Whether a path below the model is a list of blocks, or leads into one."""
        return any(is_within(path, loop) for loop in self.loops)


class ValueTracer:
    """Traces expressions of one function.

    Attributes:
        world: What is known of the model.
        self_name: The name of the model in the function.
        state: Where the values of its local names come from.
        control: What it depends on whether the statement at hand is executed.
    """

    def __init__(self, world: World, self_name: str, state: State, depth: int = 0) -> None:
        """A tracer for one function, which may be called by others that are traced."""
        self.world, self.self_name, self.state, self.depth = world, self_name, state, depth
        self.control = Level.FIXED

    def value(self, node: ast.expr) -> Origin:
        """Where the value of an expression comes from."""
        trace = _TRACES.get(type(node))
        if trace is not None:
            return trace(self, node)
        return computed(self.value(part) for part in children(node) if isinstance(part, ast.expr))

    def store(self, target: ast.expr, origin: Origin) -> None:
        """A value is stored to a target."""
        if isinstance(target, ast.Name):
            self.state[target.id] = origin
        elif isinstance(target, (ast.Tuple, ast.List)):
            for element, item in zip(target.elts, unpacked(target.elts, origin), strict=True):
                self.store(element, item)
        elif isinstance(target, ast.Starred):
            self.store(target.value, replace(origin, container=True))
        elif isinstance(target, ast.Attribute) and self_attribute(target, self.self_name):
            self.world.attributes[target.attr] = origin
        else:
            for name in root_names(target):
                self.changed(name, origin)

    def changed(self, name: str, origin: Origin) -> None:
        """The object of a name is changed in place, by values of some origin."""
        old = self.state.get(name)
        if old is None:
            return
        if old.container:
            self.state[name] = replace(holding([old.unnamed, origin.unnamed]), container=True)
        else:
            self.state[name] = replace(computed([old, origin]), block=old.block)

    # Expressions

    def _name(self, node: ast.Name) -> Origin:
        return self.state.get(node.id, FIXED)

    def _attribute(self, node: ast.Attribute) -> Origin:
        path = self_path(node, self.self_name)
        if path is not None:
            origin = self.world.attributes.get(first_of(path), FIXED)
            is_state = owner_of(path) in self.world.stateful
            if self.world.is_blocks(path):
                return Origin(frozenset({Level.BLOCKS if is_state else origin.level}), block=True)
            return origin
        base = self.value(node.value)
        if node.attr in PLAIN_ATTRIBUTES and base.level is Level.BLOCKS:
            return FIXED  # the stream keeps its shape, and the runtime computes where that changes
        if base.block:
            # What a block leaves on itself is what it computed.
            keeps = any(self.world.is_blocks(path) for path in self.world.stateful)
            return Origin(frozenset({Level.BLOCKS if keeps else base.level}), block=True)
        return base.apart if base.container or base.inside is not None else computed([base])

    def _subscript(self, node: ast.Subscript) -> Origin:
        base, index = self.value(node.value), self.value(node.slice)
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if base.items is not None and base.keys is not None and key in base.keys:
            return base.items[base.keys.index(key)]
        if (
            base.items is not None
            and base.keys is None
            and type(key) is int
            and -len(base.items) <= key < len(base.items)
        ):
            return base.items[key]
        path = self_path(node, self.self_name)
        is_block = base.block or (path is not None and self.world.is_blocks(path))
        if isinstance(node.slice, ast.Slice) and base.container:
            return replace(base, items=None).raised(index.level)
        return replace(base.apart.raised(index.level), block=is_block)

    def _slice(self, node: ast.Slice) -> Origin:
        return computed(self.value(part) for part in (node.lower, node.upper, node.step) if part is not None)

    def _display(self, node: ast.Tuple | ast.List | ast.Set) -> Origin:
        values = [self.value(element) for element in node.elts]
        known = not isinstance(node, ast.Set) and not any(isinstance(e, ast.Starred) for e in node.elts)
        return displayed(values) if known else holding(v.apart for v in values)

    def _dict(self, node: ast.Dict) -> Origin:
        spread = [self.value(v).apart for k, v in zip(node.keys, node.values, strict=True) if k is None]
        named = [self.value(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None]
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        if len(set(keys)) == len(node.keys):
            return displayed(named, keys)
        return holding([*named, *spread])

    def _operation(self, node: ast.BinOp) -> Origin:
        left, right = self.value(node.left), self.value(node.right)
        return holding([left, right]) if left.container or right.container else computed([left, right])

    def _choice(self, node: ast.IfExp) -> Origin:
        return joined([self.value(node.body), self.value(node.orelse)]).raised(self.value(node.test).level)

    def _boolean(self, node: ast.BoolOp) -> Origin:
        values = [self.value(value) for value in node.values]
        return joined(values).raised(computed(values[:-1]).level)

    def _walrus(self, node: ast.NamedExpr) -> Origin:
        origin = self.value(node.value).raised(self.control)
        self.store(node.target, origin)
        return origin

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> Origin:
        own = {name for generator in node.generators for name in target_names(generator.target)}
        hidden = {name: self.state[name] for name in own if name in self.state}
        level = Level.FIXED
        for generator in node.generators:
            self.store(generator.target, self.item_of(generator.iter))
            level = max(level, *(self.value(condition).level for condition in generator.ifs), level)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        made = holding(self.value(part) for part in parts).raised(level)
        for name in own:
            self.state.pop(name, None)
        self.state.update(hidden)
        return made

    def _function(self, node: ast.Lambda) -> Origin:
        return self.captured(node)

    def captured(self, node: ast.AST) -> Origin:
        """A function made here: what it gives depends on what it reads here."""
        read = {n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        paths = [self_path(n, self.self_name) for n in walk(node)]
        is_block = any(path is not None and self.world.is_blocks(path) for path in paths)
        known = [self.state[name] for name in sorted(read) if name in self.state]
        held = is_block or any(origin.block for origin in known)
        return replace(computed(known), block=held, inside=frozenset({Level.CALL}))

    def item_of(self, node: ast.expr) -> Origin:
        """An item of what a loop iterates."""
        if isinstance(node, ast.Call):
            function = node.func.id if isinstance(node.func, ast.Name) else ""
            if function == "enumerate" and node.args:
                return displayed([computed([self.value(node.args[0])]), self.item_of(node.args[0])])
            if function == "zip":
                return displayed(self.item_of(argument) for argument in node.args)
            if function in {"reversed", "list", "tuple", "sorted", "iter"} and len(node.args) == 1:
                return self.item_of(node.args[0])
            if isinstance(node.func, ast.Attribute) and node.func.attr in {"items", "named_children"}:
                base = self.value(node.func.value)
                return displayed([computed([base]), base.apart]) if base.block else base.apart
        return self.value(node).apart

    # Calls

    def _call(self, node: ast.Call) -> Origin:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        given = [self.value(argument) for argument in arguments]
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _PLAIN and name not in self.state:
            return computed(given)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _SIZES:
            receiver = self.value(node.func.value)
            return FIXED if receiver.level is Level.BLOCKS else computed([receiver, *given])
        if name == "getattr" and len(node.args) > 1 and given[0].block:
            return self._attribute(ast.Attribute(node.args[0], "", ast.Load()))
        if isinstance(node.func, ast.Attribute) and node.func.attr in _OF_A_LIST:
            base = self.value(node.func.value)
            if base.block:
                return Origin(base.parts, block=True, container=True)
        known = self._inside(node)
        if known is not None:
            return known
        callee = self.value(node.func)
        if callee.block or any(origin.block for origin in given):
            if name in _PASS_ON and name not in self.state:
                return replace(holding(given), container=True)
            return self._of_block(node, callee, given)
        if name not in self.state and (name in _PASS_ON or name[:1].isupper()):
            return holding(origin.apart if name in _PASS_ON else origin for origin in given)
        return self._opaque(node, callee, given)

    def _of_block(self, node: ast.Call, callee: Origin, given: list[Origin]) -> Origin:
        """What a block returns; or a function that runs one, which may return other things beside that."""
        made = Origin(frozenset({Level.BLOCKS}))
        last = last_name(node.func)
        if (callee.block and callee.inside is None) or "checkpoint" in last:
            return made
        levels = {computed([origin]).level for origin in given if not origin.block}
        return replace(made, inside=frozenset(levels | {Level.BLOCKS}))

    def _opaque(self, node: ast.Call, callee: Origin, given: list[Origin]) -> Origin:
        made = computed([callee, *given])
        if isinstance(node.func, ast.Attribute):
            root = next(iter(root_names(node.func)), "")
            if root in self.state:  # a method of a value
                receiver = self.value(node.func.value)
                return holding([receiver.apart, *given]) if receiver.container else made
            of_torch = first_of(self.world.modules.get(root, "")) in _KNOWN_MODULES
            if of_torch and root != self.self_name:
                return made
            if node.func.attr[:1].isupper() and root != self.self_name:
                return holding(given)  # a class: it keeps what it is given
        levels = frozenset(computed([origin]).level for origin in given)
        return replace(made, inside=levels) if len(levels) > 1 else made

    def _inside(self, node: ast.Call) -> Origin | None:
        """What a function gives whose source is known."""
        return None


def unpacked(targets: Sequence[ast.AST], origin: Origin) -> list[Origin]:
    """What each target of `a, *b = x` is given."""
    stars = [index for index, element in enumerate(targets) if isinstance(element, (ast.Starred, ast.MatchStar))]
    items = list(origin.items or ()) if origin.keys is None else []  # of a dict, they are given the keys
    if not items or len(items) < len(targets) - len(stars) or (not stars and len(items) != len(targets)):
        return [origin.apart] * len(targets)
    if not stars:
        return items
    star, behind = stars[0], len(targets) - stars[0] - 1
    return [*items[:star], displayed(items[star : len(items) - behind]), *items[len(items) - behind :]]


_PLAIN = frozenset(
    "len isinstance issubclass type hasattr range int float bool str complex min max abs round id callable repr print "
    "any all divmod pow ord chr hash format slice super".split()
)
"""Functions of Python that hand nothing on and call nothing."""

_PASS_ON = frozenset("list tuple dict set frozenset zip enumerate reversed sorted iter next map filter".split())
"""Functions of Python that hand on what they are given, or parts of it."""

_OF_A_LIST = frozenset("items values keys".split()) | (ITERATORS & {"children", "named_children", "modules"})
_SIZES = frozenset({"size", "dim", "numel"})
_KNOWN_MODULES = frozenset({"torch", "math", "numpy", "einops"})

_TRACES: dict[type[ast.AST], Callable[[ValueTracer, Any], Origin]] = {
    ast.Name: ValueTracer._name,
    ast.Attribute: ValueTracer._attribute,
    ast.Subscript: ValueTracer._subscript,
    ast.Slice: ValueTracer._slice,
    ast.Tuple: ValueTracer._display,
    ast.List: ValueTracer._display,
    ast.Set: ValueTracer._display,
    ast.Dict: ValueTracer._dict,
    ast.BinOp: ValueTracer._operation,
    ast.IfExp: ValueTracer._choice,
    ast.BoolOp: ValueTracer._boolean,
    ast.NamedExpr: ValueTracer._walrus,
    ast.ListComp: ValueTracer._comprehension,
    ast.SetComp: ValueTracer._comprehension,
    ast.DictComp: ValueTracer._comprehension,
    ast.GeneratorExp: ValueTracer._comprehension,
    ast.Lambda: ValueTracer._function,
    ast.Call: ValueTracer._call,
    ast.Starred: lambda tracer, node: tracer.value(node.value),
}
