"""The modulated input as functions of its own: from the cut in the forward down to what the first attention receives.

One function for each function of the model on the way: the forward (the first turn of the block loop), helper methods,
wrappers, the block. Each computes only what its `return` needs, and takes only what that reads.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from teaspec.compiler.analysis.arguments import UnmappableArgumentError, argument_for
from teaspec.compiler.analysis.attention import AttentionCut, Trail, calls_in_order
from teaspec.compiler.analysis.constants import Known, decided, numbers_of
from teaspec.compiler.analysis.dataflow import Reader, parameter_names
from teaspec.compiler.analysis.entering import called_block, stream_parameters
from teaspec.compiler.analysis.first_turn import bind_first_item, first_turn
from teaspec.compiler.analysis.loops import called_methods, find_loops, iterated_lists, loops_in
from teaspec.compiler.analysis.names import outside_functions, self_path
from teaspec.compiler.analysis.prune import prune
from teaspec.compiler.analysis.slice_effects import NormSliceError, refuse_effects
from teaspec.compiler.analysis.spread import without_spreading
from teaspec.compiler.analysis.truncate import merge_equal_branches, straighten, truncate
from teaspec.compiler.forms.program import Function
from teaspec.compiler.forms.source import FunctionSource, ModelSource, ModuleSource


def norm_functions(
    source: ModelSource, blocks: Sequence[ast.stmt], hidden: str, name: str, available: frozenset[str]
) -> tuple[Function, ...]:
    """Slice the modulated input out of the model.

    Args:
        source: The model's source.
        blocks: The statements of *blocks*, which begin with the first block loop.
        hidden: Name of the hidden stream.
        name: The name of the outermost function.
        available: The forward's local names that may be bound when the blocks begin.

    Returns:
        The functions, innermost first. The last one, `name`, takes the forward's local names as they are when the
        blocks begin.

    Raises:
        NormSliceError: `norm-reaches-no-attention`, `norm-not-always-reached`, `norm-slice-has-effects`,
            `unmappable-argument` or `loop-in-unknown-place`.
    """
    return _Slicer(source, name, stream_parameters(source, blocks, hidden), available).slice(blocks)


class _Slicer:
    def __init__(self, source: ModelSource, name: str, entering: frozenset[str], available: frozenset[str]) -> None:
        self.source = source
        self.available = available
        self.name = name
        self.entering = entering
        self.functions: list[Function] = []

    def slice(self, blocks: Sequence[ast.stmt]) -> tuple[Function, ...]:
        inner = self._entering(self._module(len(self.source.norm.frames) - 1))
        for depth in range(len(self.source.norm.frames) - 2, -1, -1):
            inner = self._entering(self._wrapper(depth, inner))
        self._to_the_loop(self.source.model.forward, blocks, inner, outermost=True)
        return tuple(self.functions)

    def _entering(self, function: Function) -> Function:
        """Notes that a function runs in the place of a submodule's forward."""
        entering = replace(function, enters=True)
        self.functions[self.functions.index(function)] = entering
        return entering

    # The module that calls the norm

    def _module(self, depth: int) -> Function:
        frame, step = self.source.norm.frames[depth], self.source.norm.steps[depth]
        found = next(self._functions_calling(frame, step), None)
        if found is None:
            raise NormSliceError(
                "unknown-norm-path",
                f"`{frame.forward.title}` does not call `self.{step}`",
                frame.forward,
                frame.forward.node,
            )
        start = Trail(tensors=self.entering if depth == 0 and found.node is frame.forward.node else frozenset())
        follow = partial(self._follow, frame)
        cut = AttentionCut(frame, found, step, follow, start, self.source.norm.attention_input)
        if not cut.found:
            message = f"what `self.{step}` returns in `{found.title}` reaches no submodule with weights"
            raise NormSliceError("norm-reaches-no-attention", message, found, cut.norm_call or found.node)
        function = self._function(f"{self.name}_of_{frame.class_name}", frame, found, cut.body, cut.ends)
        return self._from_forward(frame, found, function)

    def _follow(
        self, frame: ModuleSource, method: FunctionSource, cut: AttentionCut, call: ast.Call, caller: FunctionSource
    ) -> ast.expr:
        inner = self._function(f"{self.name}_in_{method.node.name}", frame, method, cut.body, cut.ends)
        return self._call(inner, ast.Name(caller.self_name, ast.Load()), call, Reader.of(frame, caller))

    def _functions_calling(self, frame: ModuleSource, step: str) -> Iterator[FunctionSource]:
        others = [m for m in frame.methods.values() if m.node is not frame.forward.node]
        for function in [frame.forward, *others]:
            for node in ast.walk(function.node):
                if isinstance(node, ast.Call) and self_path(node.func, function.self_name) == step:
                    yield function
                    break

    def _from_forward(self, frame: ModuleSource, inside: FunctionSource, inner: Function) -> Function:
        """Where a helper method holds the place, the function that leads to it from the module's forward."""
        if inside.node is frame.forward.node:
            return inner
        return self._through_method(frame, frame.forward, list(frame.forward.node.body), inside, inner)

    def _through_method(
        self,
        frame: ModuleSource,
        function: FunctionSource,
        body: Sequence[ast.stmt],
        inside: FunctionSource,
        inner: Function,
    ) -> Function:
        direct = {
            m.node.name for statement in body for _, m in called_methods(statement, frame.methods, function.self_name)
        }
        if inside.node.name not in direct:
            for name in sorted(direct):
                method = frame.methods[name]
                if inside.node.name in self._reachable(frame, method):
                    inner = self._through_method(frame, method, method.node.body, inside, inner)
                    inside = method
                    break
            else:
                message = f"`{function.title}` does not lead to `{inside.title}`"
                raise NormSliceError("norm-not-always-reached", message, function, function.node)
        name = f"{self.name}_from_{function.node.name}"
        return self._up_to_call(name, frame, function, body, inside.node.name, inner)

    def _reachable(self, frame: ModuleSource, method: FunctionSource, seen: frozenset[str] = frozenset()) -> set[str]:
        names = {m.node.name for _, m in called_methods(method.node, frame.methods, method.self_name)} - seen
        return names | {n for name in names for n in self._reachable(frame, frame.methods[name], seen | names)}

    # Wrappers around the block that calls the norm

    def _wrapper(self, depth: int, inner: Function) -> Function:
        frame, step = self.source.norm.frames[depth], self.source.norm.steps[depth]
        found = next(self._functions_calling(frame, step), frame.forward)

        function = self._up_to_call(f"{self.name}_of_{frame.class_name}", frame, found, found.node.body, step, inner)
        return self._from_forward(frame, found, function)

    # The model

    def _to_the_loop(
        self, function: FunctionSource, body: Sequence[ast.stmt], inner: Function, *, outermost: bool
    ) -> Function:
        model, path = self.source.model, self.source.norm
        name = self.name if outermost else f"{self.name}_in_{function.node.name}"
        if not any(
            site.function is function for s in body for site in find_loops(s, path.loop, function, model.methods)
        ):
            for statement in body:
                for _, method in called_methods(statement, model.methods, function.self_name):
                    if find_loops(method.node, path.loop, method, model.methods):
                        inner = self._to_the_loop(method, method.node.body, inner, outermost=False)
                        return self._up_to_call(name, model, function, body, method.node.name, inner)
            raise NormSliceError(
                "loop-in-unknown-place", f"no way to the loop over `self.{path.loop}`", function, function.node
            )
        block_names: list[str] = []
        constants: dict[str, int] = {}

        def enter_loop(loop: ast.For) -> list[ast.stmt] | None:
            turn = first_turn(loop, path.loop, path.index, function)
            if turn is None and path.loop in iterated_lists(loop, function):
                message = (
                    f"the loop does not begin with block `{path.index}` of `self.{path.loop}` "
                    "in a way that is understood"
                )
                raise NormSliceError("norm-outside-first-loop", message, function, loop)
            if turn is None:
                inside = any(find_loops(s, path.loop, function, model.methods) for s in loop.body)
                bindings = [bind_first_item(loop)] if inside else []
                constants.update(numbers_of(bindings, loop))
                return bindings or None
            block_names.append(turn.block)
            constants.update(numbers_of(turn.bindings, loop))
            return turn.bindings

        def leaf(node: ast.AST) -> ast.expr | None:
            for call in calls_in_order(node):
                called = called_block(call, block_names)
                if called is not None:
                    block, skip = called
                    return self._call(inner, block, call, Reader.of(model, function), skip)
            return None

        known = Known(model.absent, function.self_name, constants)
        suite, ends = truncate(body, leaf, enter_loop, lambda test: decided(test, known))
        made = self._function(name, model, function, suite, ends)
        for statement in made.body:
            if any(True for _ in loops_in(statement, function, model.methods)):
                message = f"another loop over submodules comes before the one over `self.{path.loop}`"
                raise NormSliceError("norm-outside-first-loop", message, function, statement)
        return made

    # One function

    def _up_to_call(
        self,
        name: str,
        module: ModuleSource,
        function: FunctionSource,
        body: Sequence[ast.stmt],
        path: str,
        inner: Function,
    ) -> Function:
        """What a function does up to its call of `self.<path>`, a submodule or a method, entered as `inner`."""

        def leaf(node: ast.AST) -> ast.expr | None:
            for call in calls_in_order(node):
                if self_path(call.func, function.self_name) == path:
                    is_method = path in module.methods and path not in module.children
                    entered = ast.Name(function.self_name, ast.Load()) if is_method else call.func
                    return self._call(inner, entered, call, Reader.of(module, function))
            return None

        known = Known(module.absent, function.self_name)
        suite, ends = truncate(body, leaf, _into_no_loop, lambda test: decided(test, known))
        return self._function(name, module, function, suite, ends)

    def _call(self, inner: Function, entered: ast.expr, call: ast.Call, reader: Reader, skip: int = 0) -> ast.expr:
        """The call of a slice in the place of a call in the model; `skip` leaves positional arguments out."""
        positional, keywords = without_spreading(reader, call)
        try:
            values = [
                argument_for(p, inner.source.node.args, positional[skip:], keywords, call) for p in inner.parameters
            ]
        except UnmappableArgumentError as error:
            message = (
                f"the norm needs `{error.parameter}` of `{inner.source.title}`, and this call does not show its value"
            )
            raise NormSliceError("unmappable-argument", message, reader.function, error.node) from error
        made = ast.Call(func=ast.Name(inner.name, ast.Load()), args=[entered, *values], keywords=[])
        return ast.copy_location(made, call)

    def _function(
        self, name: str, module: ModuleSource, source: FunctionSource, suite: Sequence[ast.stmt], ends: bool
    ) -> Function:
        reader = Reader.of(module, source)
        if source.node in (self.source.model.forward.node, *(m.node for m in self.source.model.methods.values())):
            # Whether the model calls its first block, and how, does not matter to what the block would compute.
            suite = straighten(suite, reader)
            ends = ends or isinstance(suite[-1], ast.Return)
        own = {id(node) for node in ast.walk(source.node) if isinstance(node, ast.Return)}
        ends = ends and not any(id(node) in own for s in suite for node in outside_functions(s))
        if not ends:
            message = f"`{source.title}` can pass by the norm"
            raise NormSliceError("norm-not-always-reached", message, source, source.node)
        body, _ = prune(suite, reader, lambda effects: False)
        body, needed = prune(merge_equal_branches(body), reader, lambda effects: False)
        refuse_effects(reader, source, body)
        taken = parameter_names(source.node.args)
        is_whole = source is not self.source.model.forward or name != self.name
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
        same = next((f for f in self.functions if f.source is source and _text(f) == _text(made)), None)
        if same is not None:
            return same  # two branches lead to the same place
        number = sum(f.name == name or f.name.startswith(f"{name}_") for f in self.functions)
        function = replace(made, name=f"{name}_{number + 1}") if any(f.name == name for f in self.functions) else made
        self.functions.append(function)
        return function


def _text(function: Function) -> str:
    return "\n".join(ast.dump(statement) for statement in function.body)


def _into_no_loop(loop: ast.For) -> list[ast.stmt] | None:
    return None
