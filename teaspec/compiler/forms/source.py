"""The model's source: what resolve reads from a live module, and all that the later passes know of it.

Principles: every function keeps its own file and true line numbers; nothing here is executed; a live object is kept
only where loading needs it (the function, for its closure and defaults).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FunctionType

from teaspec.compiler.forms.called import CalledName, MethodName, Overridden
from teaspec.compiler.forms.summary import CallSummary
from teaspec.compiler.report import Label, Span


@dataclass(frozen=True)
class SourceFile:
    """A Python file that was parsed.

    Attributes:
        path: Where it lies.
        shown: The path as messages show it: from the top package on.
        module: The name it is imported by.
        lines: Its lines, without line ends.
        modules: Names in its namespace that are bound to modules, with the name to import each by.
        names: All names in its namespace.
    """

    path: str
    shown: str
    module: str
    lines: tuple[str, ...] = field(repr=False)
    modules: Mapping[str, str] = field(repr=False)
    names: frozenset[str] = field(repr=False)

    def span(self, node: ast.AST) -> Span:
        """The span of a node; where it runs over several lines, its first line."""
        line, column = node.lineno, _character(self.line(node.lineno), node.col_offset)  # type: ignore[attr-defined]
        end_line, end_offset = node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
        if end_line == line:
            return Span(self.shown, line, column, line, _character(self.line(line), end_offset))
        return Span(self.shown, line, column, line, len(self.line(line).rstrip()) + 1)

    def line(self, number: int) -> str:
        """The text of a line, counted from 1."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def label(self, node: ast.AST, text: str) -> Label:
        """A label on a node, for diagnostics."""
        span = self.span(node)
        return Label(span, text, self.line(span.line))


def _character(line: str, offset: int) -> int:
    # ast counts bytes of UTF-8, people count characters.
    return len(line.encode()[:offset].decode(errors="ignore")) + 1


@dataclass(frozen=True)
class FunctionSource:
    """One function or method of the model.

    Attributes:
        node: Its syntax tree, with the line numbers of its file.
        file: The file it stands in.
        owner: The class it belongs to, as named in that file ("" for a plain function).
        owner_path: How the class is reached from its module (`Model`, `Outer.Model`), None for a class made in a
            function.
        free: Names that it takes from an enclosing function.
        function: The live function.
        written_out: The helper methods whose statements stand in its body, in place of calls of them.
        supers: What each method is that it calls by `super()`, by its name.
    """

    node: ast.FunctionDef = field(repr=False)
    file: SourceFile
    owner: str
    owner_path: str | None
    free: frozenset[str]
    function: FunctionType = field(repr=False, compare=False)
    written_out: tuple[WrittenOut, ...] = field(default=(), repr=False)
    supers: Mapping[str, Overridden] = field(default_factory=dict, repr=False, compare=False)

    @property
    def self_name(self) -> str:
        """What the function calls the module it belongs to."""
        arguments = self.node.args
        first = [*arguments.posonlyargs, *arguments.args][:1]
        return first[0].arg if first else "self"

    @property
    def title(self) -> str:
        """How messages name it: `Model.forward`."""
        return f"{self.owner}.{self.node.name}" if self.owner else self.node.name


@dataclass(frozen=True)
class WrittenOut:
    """A helper method that was written out.

    Attributes:
        method: What the class calls it.
        call: The statement that calls it, as it stands in the model's file.
        names: What its local names are called where it is written out.
    """

    method: FunctionSource
    call: ast.stmt = field(repr=False)
    names: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class ModuleSource:
    """A module of the model whose forward the compiler may have to enter.

    Attributes:
        class_name: As messages have it.
        forward: Its forward, or the method that the spec names in its place.
        methods: Methods of its class by name, forward included; and those that they override and call by
            `super()`.
        summaries: What is known of methods and of plain functions that it may call.
        children: Paths of its submodules, each with whether it (or what it holds) has weights of two or more
            dimensions.
        random_children: Paths of submodules that draw random numbers.
        stateful_children: Paths of submodules that change themselves when called.
        unsettled_children: Those of them that one more call may change once more.
        absent: Its attributes that hold None for good: submodules that others of its class may have.
    """

    class_name: str
    forward: FunctionSource
    methods: Mapping[MethodName, FunctionSource] = field(repr=False)
    summaries: Mapping[CalledName, CallSummary] = field(repr=False)
    children: Mapping[str, bool] = field(repr=False)
    random_children: frozenset[str] = field(repr=False)
    stateful_children: frozenset[str] = field(repr=False)
    unsettled_children: frozenset[str] = field(repr=False)
    absent: frozenset[str] = field(repr=False)


@dataclass(frozen=True)
class NormPath:
    """Where the first norm lies.

    Attributes:
        loop: The spec's loop that it belongs to.
        index: The block's index or key in it.
        steps: The names from the block down to the norm: (`norm1`,), or (`block`, `norm1_i`) through a wrapper.
        frames: The modules on that way, from the block to the one that calls the norm; one per step.
        attention_input: Where it leads to the first attention itself, because the norm before it is a function: what
            that calls its input.
        is_last: Whether the block is the last one of its list.
    """

    loop: str
    index: str
    steps: tuple[str, ...]
    frames: tuple[ModuleSource, ...]
    attention_input: str | None = None
    is_last: bool = False


@dataclass(frozen=True)
class ModelSource:
    """A model and what the spec's landmarks lead to in it."""

    model: ModuleSource
    entry: FunctionSource
    """What a caller calls: `forward`. The same as `model.forward` unless that is another method."""
    norm: NormPath
    handed_on: CalledName | None = None
    """What `entry` calls to hand on to `model.forward`, where that is another: `self._forward`, `super().forward`."""
