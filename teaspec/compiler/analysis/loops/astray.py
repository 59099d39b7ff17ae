"""Why landmarks are not where a spec looks for them: blocks that no list holds, a submodule that iterates its own."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from teaspec.compiler.analysis.flow.search import calls_of, mentions_of
from teaspec.compiler.analysis.loops.loops import LoopSite, find_loops, iterated_lists, loops_in, reached
from teaspec.compiler.analysis.syntax.names import super_attribute
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.paths import outer_paths
from teaspec.compiler.forms.source import FunctionSource, ModuleSource
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.report import Diagnostic, Label, did_you_mean

Site = tuple[FunctionSource, ast.AST]


def looked_up_by_name(module: ModuleSource) -> Site | None:
    """Where a forward looks up submodules by a name that it makes: `getattr(self, f"block_{i}")`."""
    for function in reached(module):
        for node in walk(function.node):
            is_getattr = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr"
            arguments = node.args if is_getattr and isinstance(node, ast.Call) else []
            made = len(arguments) > 1 and not isinstance(arguments[1], ast.Constant)
            if made and isinstance(arguments[0], ast.Name) and arguments[0].id == function.self_name:
                return function, node
    return None


def called_around(path: str, module: ModuleSource) -> tuple[str, Site] | None:
    """The submodule on the way down to a path that a forward calls, and where: its own forward is the place to look."""
    for outer in outer_paths(path)[:-1]:
        for function in reached(module):
            call = next(calls_of(function.node, outer, function.self_name), None)
            if call is not None:
                return outer, (function, call)
    return None


def handed_on(path: str, function: FunctionSource) -> ast.AST | None:
    """Where a function hands on a submodule on the way down to a path, and does not call it."""
    outer = outer_paths(path)[-2::-1]
    return next((node for one in outer for node in mentions_of(function.node, one, function.self_name)), None)


def no_loop(spec: Spec, model: ModuleSource, name: str, position: int) -> Diagnostic:
    """The diagnostic of a list of blocks that a forward does not iterate.

    Args:
        spec: Names the list; the message points there first.
        model: The model's source.
        name: The list.
        position: Its place in the spec's `blocks.loops`.
    """
    forward, around = model.forward, called_around(name, model)
    sites = list(loops_in(forward.node, forward, model.methods))
    if around is None:
        labels = _other_loops(sites, forward)
        help_lines = did_you_mean(name, {p for site in sites for p in iterated_lists(site.node, site.function)})
    else:
        path, (function, node) = around
        labels = [function.file.label(node, f"calls `self.{path}`, which has a forward of its own")]
        help_lines = (f"write the spec for the class of `self.{path}`, whose forward iterates them",)
    named = spec.document.label("named here", "blocks", "loops", position)
    message = f"no loop over `self.{name}` in `{forward.title}`"
    return Diagnostic("unknown-block-loop", message, (named, *labels), help_lines)


def _other_loops(sites: Sequence[LoopSite], forward: FunctionSource) -> list[Label]:
    unique = {(site.node.lineno, site.node.col_offset): site for site in sites}
    text = "the only loop over submodules in this forward" if len(unique) == 1 else "a loop over submodules"
    if not unique:
        return [forward.file.label(forward.node, "no loop over submodules in this forward")]
    return [site.function.file.label(site.blocks, text) for site in list(unique.values())[:4]]


def loops_elsewhere(
    spec: Spec, model: ModuleSource, loops: Sequence[tuple[str, LoopSite]], body: Sequence[ast.stmt]
) -> Diagnostic | None:
    """The diagnostic of loops that stand, together with the head, in a method that was not written out.

    Args:
        spec: Names the list; the message points there first.
        model: The model's source.
        loops: The block loops.
        body: The statements of the forward.
    """
    forward, head = model.forward, spec.head
    if any(site.function.node is forward.node for _, site in loops):
        return None
    if any(True for statement in body for _ in mentions_of(statement, head, forward.self_name)):
        return None
    others = [function for function in reached(model) if function.node is not forward.node]
    if not any(True for function in others for _ in mentions_of(function.node, head, function.self_name)):
        return None
    name, site = loops[0]
    held = next(s for s in body if find_loops(s, name, forward, model.methods))
    stands = f"the block loops and the call of `self.{head}` stand in `{site.function.title}`"
    named = spec.document.label("named here", "head")
    labels = (named, forward.file.label(held, "called here"), site.function.file.label(site.node, "the loop"))
    advice = "write `return`, or `name =`, before a plain call of a method of the same file that returns at its end"
    if any(isinstance(node, ast.Call) and super_attribute(node.func) for node in walk(held)):
        advice = (
            "write `return` or `name =` before the one call of `super()`, in a statement of its own, bind before it on "
            "every way what is read behind it, and let no nested function hold on to a name"
        )
    message = f"{stands}, which cannot be written out in `{forward.title}`"
    return Diagnostic("loop-in-unknown-place", message, labels, (advice,))
