"""The functions of the slice of the modulated input: each computes what its `return` needs, takes what that reads."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace

from teaspec.compiler.analysis.flow.dataflow import Reader, parameter_names
from teaspec.compiler.analysis.flow.prune import prune
from teaspec.compiler.analysis.flow.spread import without_spreading
from teaspec.compiler.analysis.flow.truncate import merge_equal_branches, straighten
from teaspec.compiler.analysis.signal.passing_by import way_past
from teaspec.compiler.analysis.signal.slice_effects import NormSliceError, copies, refuse_effects
from teaspec.compiler.analysis.syntax.arguments import UnmappableArgumentError, argument_for
from teaspec.compiler.analysis.syntax.names import outside_functions
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.program import Function
from teaspec.compiler.forms.source import FunctionSource, ModelSource, ModuleSource


class SliceFunctions:
    """The functions that were made so far, innermost first.

    Attributes:
        all: The functions.
    """

    def __init__(self, source: ModelSource, name: str, available: frozenset[str]) -> None:
        """None yet.

        Args:
            source: The model's source.
            name: The name of the outermost one.
            available: The forward's local names that may be bound when the blocks begin.
        """
        self.source, self.name, self.available = source, name, available
        self.all: list[Function] = []

    def entering(self, function: Function) -> Function:
        """Notes that a function runs in the place of a submodule's forward."""
        entering = replace(function, enters=True)
        self.all[self.all.index(function)] = entering
        return entering

    def call(self, inner: Function, entered: ast.expr, call: ast.Call, reader: Reader, at: ast.Call) -> ast.expr:
        """The call of a slice in the place of `at` in the model, which comes to `call`."""
        positional, keywords = without_spreading(reader, call, at)
        try:
            values = [argument_for(p, inner.source.node.args, positional, keywords, at) for p in inner.parameters]
        except UnmappableArgumentError as error:
            message = (
                f"the norm needs `{error.parameter}` of `{inner.source.title}`, and this call does not show its value"
            )
            raise NormSliceError("unmappable-argument", message, reader.function, error.node) from error
        made = ast.Call(func=ast.Name(inner.name, ast.Load()), args=[entered, *values], keywords=[])
        return ast.copy_location(made, at)

    def made(
        self,
        name: str,
        module: ModuleSource,
        source: FunctionSource,
        suite: Sequence[ast.stmt],
        ends: bool,
        leads: Callable[[ast.expr], bool] = lambda node: False,
    ) -> Function:
        """The function that computes what a suite returns.

        Args:
            name: Its name, to which a number is added where it is taken.
            module: The module that the suite belongs to.
            source: The function of the model that it is cut from.
            suite: The statements up to the norm.
            ends: Whether every way through them returns or raises.
            leads: Whether an expression is what leads to the norm, for messages.

        Raises:
            NormSliceError: `norm-not-always-reached` or `norm-slice-has-effects`.
        """
        reader = Reader.of(module, source)
        if source.node in (self.source.model.forward.node, *(m.node for m in self.source.model.methods.values())):
            # Whether the model calls its first block, and how, does not matter to what the block would compute.
            suite = straighten(suite, reader)
            ends = ends or isinstance(suite[-1], ast.Return)
        own = {id(node) for node in walk(source.node) if isinstance(node, ast.Return)}
        ends = ends and not any(id(node) in own for s in suite for node in outside_functions(s))
        if not ends:
            passing = f"`{source.title}` can pass by the norm"
            message, node = way_past(suite, own, leads, source.title) or (passing, source.node)
            raise NormSliceError("norm-not-always-reached", message, source, node)
        body, _ = prune(suite, reader, lambda effects: False)
        body, needed = prune(merge_equal_branches(body), reader, lambda effects: False)
        taken = parameter_names(source.node.args)
        is_whole = source is not self.source.model.forward or name != self.name
        body = body if is_whole else [*copies(reader, body), *body]
        refuse_effects(reader, source, body)
        if is_whole:
            # What the slice binds itself, though not on every way, is unbound there just where it is in the function.
            needed -= reader.effects(body).binds.difference(taken)
        else:
            needed &= self.available  # the others are unbound when the blocks begin, here as there
        parameters = tuple(dict.fromkeys(n for n in [*taken, *sorted(reader.locals)] if n in needed))
        unknown = [p for p in parameters if p not in taken]
        if unknown and is_whole:
            message = f"`{unknown[0]}` may be unbound on the way to the norm in `{source.title}`"
            raise NormSliceError("norm-not-always-reached", message, source, source.node)
        doc = f"What {source.title} does up to the first attention."
        made = Function(name, parameters, tuple(body), source, doc)
        same = next((f for f in self.all if f.source is source and _text(f) == _text(made)), None)
        if same is not None:
            return same  # two branches lead to the same place
        number = sum(f.name == name or f.name.startswith(f"{name}_") for f in self.all)
        function = replace(made, name=f"{name}_{number + 1}") if any(f.name == name for f in self.all) else made
        self.all.append(function)
        return function


def _text(function: Function) -> str:
    return "\n".join(ast.dump(statement) for statement in function.body)
