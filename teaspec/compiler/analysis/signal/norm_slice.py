"""The modulated input as functions of its own: from the cut in the forward down to what the first attention receives.

One function for each function of the model on the way: the forward (the first turn of the block loop), helper methods,
wrappers, the block. Each computes only what its `return` needs, and takes only what that reads.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from teaspec.compiler.analysis.flow.constants import Known, decided, numbers_of
from teaspec.compiler.analysis.flow.dataflow import Reader
from teaspec.compiler.analysis.flow.search import simple_statements
from teaspec.compiler.analysis.flow.truncate import truncate
from teaspec.compiler.analysis.loops.loops import (
    called_methods,
    find_loops,
    iterated_lists,
    loops_in,
    method_name,
    method_named,
)
from teaspec.compiler.analysis.signal.attention import AttentionCut, Trail
from teaspec.compiler.analysis.signal.direct import DirectCalls
from teaspec.compiler.analysis.signal.entering import stream_parameters
from teaspec.compiler.analysis.signal.first_turn import FirstTurn, bind_first_item, first_turn, other_beginning
from teaspec.compiler.analysis.signal.slice_effects import NormSliceError
from teaspec.compiler.analysis.signal.slice_functions import SliceFunctions
from teaspec.compiler.analysis.syntax.names import bound_names, calls_in_order, self_path
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.called import MethodName
from teaspec.compiler.forms.program import Function
from teaspec.compiler.forms.source import FunctionSource, ModelSource, ModuleSource


def norm_functions(
    source: ModelSource, blocks: Sequence[ast.stmt], hidden: str, name: str, available: frozenset[str]
) -> tuple[Function, ...]:
    """Slices the modulated input out of the model.

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
        self.name = name
        self.entering = entering
        self.functions = SliceFunctions(source, name, available)

    def slice(self, blocks: Sequence[ast.stmt]) -> tuple[Function, ...]:
        inner = self.functions.entering(self._module(len(self.source.norm.frames) - 1))
        for depth in range(len(self.source.norm.frames) - 2, -1, -1):
            inner = self.functions.entering(self._wrapper(depth, inner))
        self._to_the_loop(self.source.model.forward, blocks, inner, outermost=True)
        return tuple(self.functions.all)

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
        function = self.functions.made(f"{self.name}_of_{frame.class_name}", frame, found, cut.body, cut.ends)
        return self._from_forward(frame, found, function)

    def _follow(
        self, frame: ModuleSource, method: FunctionSource, cut: AttentionCut, call: ast.Call, caller: FunctionSource
    ) -> ast.expr:
        inner = self.functions.made(f"{self.name}_in_{method.node.name}", frame, method, cut.body, cut.ends)
        return self.functions.call(inner, ast.Name(caller.self_name, ast.Load()), call, Reader.of(frame, caller), call)

    def _functions_calling(self, frame: ModuleSource, step: str) -> Iterator[FunctionSource]:
        others = [m for m in frame.methods.values() if m.node is not frame.forward.node]
        for function in [frame.forward, *others]:
            for node in walk(function.node):
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
        direct = {n: m for statement in body for n, m in called_methods(statement, frame.methods, function)}
        path = next((name for name, method in direct.items() if method.node is inside.node), None)
        if path is None:
            path = next((n for n, m in sorted(direct.items(), key=_spelt) if self._leads_to(frame, m, inside)), None)
            if path is None:
                message = f"`{function.title}` does not lead to `{inside.title}`"
                raise NormSliceError("norm-not-always-reached", message, function, function.node)
            inner = self._through_method(frame, direct[path], direct[path].node.body, inside, inner)
        name = f"{self.name}_from_{function.node.name}"
        return self._up_to_call(name, frame, function, body, path, inner)

    def _leads_to(
        self,
        frame: ModuleSource,
        method: FunctionSource,
        inside: FunctionSource,
        seen: frozenset[MethodName] = frozenset(),
    ) -> bool:
        called = {n: m for n, m in called_methods(method.node, frame.methods, method) if n not in seen}
        return any(m.node is inside.node for m in called.values()) or any(
            self._leads_to(frame, m, inside, seen | called.keys()) for m in called.values()
        )

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
                for called, method in called_methods(statement, model.methods, function):
                    if find_loops(method.node, path.loop, method, model.methods):
                        inner = self._to_the_loop(method, method.node.body, inner, outermost=False)
                        return self._up_to_call(name, model, function, body, called, inner)
            raise NormSliceError(
                "loop-in-unknown-place", f"no way to the loop over `self.{path.loop}`", function, function.node
            )
        turns: list[FirstTurn] = []
        constants: dict[str, int] = {}

        def is_block(node: ast.expr) -> bool:
            return any(turn.is_block(node) for turn in turns)

        def enter_loop(loop: ast.For) -> list[ast.stmt] | None:
            turn = first_turn(loop, path, function)
            if turn is None and path.loop in iterated_lists(loop, function):
                message = other_beginning(loop, path, function)
                raise NormSliceError("norm-outside-first-loop", message, function, loop)
            if turn is None:
                inside = any(find_loops(s, path.loop, function, model.methods) for s in loop.body)
                bindings = [bind_first_item(loop)] if inside else []
                constants.update(numbers_of(bindings, loop))
                return bindings or None
            turns.append(turn)
            constants.update(turn.numbers)
            return turn.bindings

        known = Known(model.absent, function.self_name, constants)
        reader = Reader.of(model, function)
        direct = DirectCalls(reader, known, is_block)

        def leaf(node: ast.AST) -> ast.expr | None:
            found = direct.first_in(node) if turns else None
            if found is None:
                return self._handed(node, function, is_block, inner) if turns else None
            return self.functions.call(inner, found[1].func, found[1], reader, found[0])

        suite, ends = truncate(body, leaf, enter_loop, lambda test: decided(test, known))
        made = self.functions.made(
            name, model, function, suite, ends, lambda node: any(turn.is_block(node) for turn in turns)
        )
        for statement in made.body:
            if any(True for _ in loops_in(statement, function, model.methods)):
                message = f"another loop over submodules comes before the one over `self.{path.loop}`"
                raise NormSliceError("norm-outside-first-loop", message, function, statement)
        return made

    def _handed(
        self, node: ast.AST, function: FunctionSource, is_block: Callable[[ast.expr], bool], inner: Function
    ) -> ast.expr | None:
        """The slice of a method of the model that is handed the block, in the place of the call of it."""
        model = self.source.model
        for call in calls_in_order(node):
            method = method_named(call.func, model.methods, function)
            if method is None or not any(map(is_block, [*call.args, *(k.value for k in call.keywords)])):
                continue
            names = [a.arg for a in [*method.node.args.posonlyargs, *method.node.args.args]][1:]
            given = [*zip(names, call.args, strict=False), *((k.arg or "", k.value) for k in call.keywords)]
            held = {name for name, value in given if is_block(value)} - bound_names(method.node.body)
            made = self._of_handed(method, held, inner) if held and not method.node.decorator_list else None
            if made is not None:
                this = ast.Name(function.self_name, ast.Load())
                return self.functions.call(made, this, call, Reader.of(model, function), call)
        return None

    def _of_handed(self, method: FunctionSource, held: set[str], inner: Function) -> Function | None:
        """The slice of a method that holds the block under a name; None where it calls it nowhere."""

        def is_block(node: ast.expr) -> bool:
            return isinstance(node, ast.Name) and node.id in held

        reader = Reader.of(self.source.model, method)
        known = Known(self.source.model.absent, method.self_name)
        direct = DirectCalls(reader, known, is_block)

        def leaf(node: ast.AST) -> ast.expr | None:
            found = direct.first_in(node)
            return None if found is None else self.functions.call(inner, found[1].func, found[1], reader, found[0])

        if all(direct.first_in(statement) is None for statement in simple_statements(method.node.body)):
            return None
        suite, ends = truncate(method.node.body, leaf, _into_no_loop, lambda test: decided(test, known))
        name = f"{self.name}_in_{method.node.name}"
        return self.functions.made(name, self.source.model, method, suite, ends, is_block)

    # One function

    def _up_to_call(
        self,
        name: str,
        module: ModuleSource,
        function: FunctionSource,
        body: Sequence[ast.stmt],
        path: MethodName,
        inner: Function,
    ) -> Function:
        """What a function does up to its call of `self.<path>`, a submodule or a method, entered as `inner`."""

        def leads(node: ast.expr) -> bool:
            return method_name(node, function) == path

        known = Known(module.absent, function.self_name)
        reader = Reader.of(module, function)
        direct = DirectCalls(reader, known, leads)
        is_method = path in module.methods and path not in module.children

        def leaf(node: ast.AST) -> ast.expr | None:
            found = direct.first_in(node)
            if found is None:
                return None
            entered = ast.Name(function.self_name, ast.Load()) if is_method else found[1].func
            return self.functions.call(inner, entered, found[1], reader, found[0])

        suite, ends = truncate(body, leaf, _into_no_loop, lambda test: decided(test, known))
        return self.functions.made(name, module, function, suite, ends, leads)


def _spelt(method: tuple[MethodName, FunctionSource]) -> str:
    return str(method[0])


def _into_no_loop(loop: ast.For) -> list[ast.stmt] | None:
    return None
