"""What a forward shows to somebody who looks for landmarks: its statements, and what follows from which argument."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from teaspec.compiler import load_spec
from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.flow.search import simple_statements, without_docstring
from teaspec.compiler.analysis.loops.loops import LoopSite, find_loops, iterated_lists, loops_in
from teaspec.compiler.analysis.syntax.names import parameters_of, self_path
from teaspec.compiler.analysis.syntax.parallel import split_parallel
from teaspec.compiler.analysis.writing.inlining import written_out
from teaspec.compiler.forms.places import local_names
from teaspec.compiler.forms.source import FunctionSource, ModuleSource
from teaspec.compiler.passes.resolve import module_source

_TIME = re.compile(r"(^|_)(t|time|times|timestep|timesteps|sigma|sigmas|noise_labels?|c_noise)(_|$)")


@dataclass(frozen=True)
class Reading:
    """A forward, with one choice of block lists.

    Attributes:
        source: The model's source.
        forward: The method that holds the loops, helpers written out.
        body: Its statements.
        loops: The lists of blocks.
        first: The index of the first statement that holds one of the loops.
        last: The index of the last.
    """

    source: ModuleSource
    forward: FunctionSource
    body: Sequence[ast.stmt]
    loops: tuple[str, ...]
    first: int
    last: int

    @property
    def before(self) -> Sequence[ast.stmt]:
        """The statements in front of the blocks."""
        return self.body[: self.first]

    @property
    def behind(self) -> Sequence[ast.stmt]:
        """The statements behind the last loop."""
        return self.body[self.last + 1 :]

    @property
    def parameters(self) -> list[str]:
        """The arguments of the forward, without the model itself."""
        return parameters_of(self.forward.node.args)[1:]

    @property
    def times(self) -> list[str]:
        """The arguments that say, by their names, which denoising step it is."""
        return [name for name in self.parameters if _TIME.search(name)]

    def sites(self, loop: str) -> Iterator[LoopSite]:
        """The loops over one of the lists."""
        for statement in self.body[self.first : self.last + 1]:
            yield from find_loops(statement, loop, self.forward, self.source.methods)

    def bound_before(self) -> set[str]:
        """The names that have a value where the blocks begin."""
        bound = effects_of(self.before, self_name=self.forward.self_name).binds
        return {*self.parameters, *local_names(bound)}

    def read_behind(self) -> set[str]:
        """The names whose value behind the blocks gets into what the forward returns."""
        wanted: set[str] = set()
        for statement in reversed(list(simple_statements(self.behind))):
            effects = effects_of(statement, self_name=self.forward.self_name)
            made = local_names((*effects.binds, *effects.changes))
            if isinstance(statement, ast.Return) or made & wanted:
                wanted |= local_names(effects.reads)
        return wanted


def source_of(model: str, module: nn.Module, method: str = "forward") -> ModuleSource:
    """The source of a module, read by the compiler's own pass.

    Args:
        model: Import path of the model, for messages.
        module: An instance of it, or of a part of it.
        method: The method that is its forward.

    Raises:
        SpecError: It cannot be read.
    """
    text = f"teaspec: 1\nmodel: {model}\nembed: none\nnorm: blocks.0.norm\nblocks: {{style: single, loops: [blocks]}}\n"
    return module_source(load_spec(text + "head: head\n"), module, method)


def methods_with_loops(source: ModuleSource) -> list[str]:
    """The methods that may hold the block loops: the forward, and those whose result it returns as it is."""
    found = ["forward"]
    for node in ast.walk(source.forward.node):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Call):
            path = self_path(node.value.func, source.forward.self_name)
            if path is not None and path in source.methods and path not in found:
                found.append(path)
    return sorted(found, key=lambda name: "train" in name)  # what is cached is a generation


def read_forward(source: ModuleSource, loops: tuple[str, ...]) -> Reading | None:
    """Reads a forward with the lists of blocks that it iterates; None where it iterates none of them."""
    forward = written_out(source.forward, source.methods, loops)
    body = split_parallel(without_docstring(forward.node.body))
    held = [
        index
        for index, statement in enumerate(body)
        if any(find_loops(statement, name, forward, source.methods) for name in loops)
    ]
    return Reading(source, forward, body, loops, held[0], held[-1]) if held else None


def iterated(source: ModuleSource) -> list[str]:
    """The paths below the module that its forward iterates, in the order of the source."""
    found: dict[str, None] = {}
    for site in _in_order(source):
        for path in iterated_lists(site.node, site.function):
            found.setdefault(path)
    return list(found)


def _in_order(source: ModuleSource) -> Iterator[LoopSite]:
    forward = source.forward
    for statement in without_docstring(forward.node.body):
        yield from sorted(
            loops_in(statement, forward, source.methods),
            key=lambda site: (site.function is not forward, site.node.lineno),
        )


def follows_from(names: Iterable[str], suite: Sequence[ast.stmt], self_name: str) -> set[str]:
    """The names that depend on the given ones when a suite has run: what was made of the value of one of them."""
    made = set(names)
    for statement in simple_statements(suite):
        if values_in(statement) & made:
            effects = effects_of(statement, self_name=self_name)
            made |= local_names((*effects.binds, *effects.changes))
    return made


def self_calls(node: ast.AST, self_name: str) -> Iterator[tuple[str, ast.Call]]:
    """The calls of submodules and methods inside a node, the outermost first, each with its path.

    `self.heads[key](x)` is a call of `heads`.
    """
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            function = part.func
            path = self_path(function, self_name)
            while path is None and isinstance(function, ast.Subscript):
                function = function.value
                path = self_path(function, self_name)
            if path is not None:
                yield path, part


def names_in(node: ast.AST) -> set[str]:
    """The plain names that a node reads."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def values_in(node: ast.AST) -> set[str]:
    """The plain names whose value a node reads, and not only what kind of tensor it is."""
    if isinstance(node, ast.Attribute) and node.attr in {"dtype", "device", "shape"}:
        return set()
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    return {name for child in ast.iter_child_nodes(node) for name in values_in(child)}


def ordered_targets(target: ast.expr) -> list[str]:
    """The plain names of a target, from left to right."""
    if isinstance(target, ast.Name):
        return [target.id]
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for element in target.elts for name in ordered_targets(element)]
    return []
