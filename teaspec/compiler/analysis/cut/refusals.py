"""What a cut is refused for, and where the messages point."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from teaspec.compiler.analysis.cut.block_state import BlockState
from teaspec.compiler.analysis.cut.crossing import StaleValueError
from teaspec.compiler.analysis.cut.left_behind import LeftBehind
from teaspec.compiler.analysis.effects.views import views_of
from teaspec.compiler.analysis.flow.dataflow import Aliases, Reader
from teaspec.compiler.analysis.syntax.names import outside_functions, super_attribute
from teaspec.compiler.analysis.syntax.nested import only_called_in
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.places import local_names
from teaspec.compiler.forms.program import Function
from teaspec.compiler.forms.source import FunctionSource, ModelSource
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.report import Diagnostic, Label, SpecError


@dataclass(frozen=True)
class Refusals:
    """The refusals of one forward.

    Attributes:
        spec: The spec, for its lines.
        source: The model's source.
    """

    spec: Spec
    source: ModelSource

    def error(
        self, code: str, message: str, where: tuple[str, ...], node: ast.AST, source: FunctionSource | None = None
    ) -> SpecError:
        """A refusal that points at one line, of the forward unless `source` is another function."""
        label = (source or self.source.model.forward).file.label(node, "here")
        return SpecError([Diagnostic(code, message, (self.spec.document.label("named here", *where), label))])

    def refuse_returns(self, blocks: Iterable[ast.stmt]) -> None:
        """The forward must not return from its blocks."""
        for node in (part for statement in blocks for part in outside_functions(statement)):
            if isinstance(node, ast.Return):
                message = f"`{self.source.model.forward.title}` can return from the midst of its blocks"
                raise self.error("return-in-blocks", message, ("blocks",), node)

    def refuse_changes(
        self, reader: Reader, carried: set[str], before: Sequence[ast.stmt], postlude: Sequence[ast.stmt]
    ) -> None:
        """A value that reused steps take over again and again must still be what the blocks made of it.

        Args:
            reader: Reads effects in the forward.
            carried: The names of such values.
            before: The statements before the postlude.
            postlude: Statements behind the blocks, which run on reused steps, too.
        """
        for statement in postlude:
            changed = views_of([*before, *postlude], local_names(reader.effects(statement).changes)) & carried
            if changed:
                name = sorted(changed)[0]
                message = f"the postlude changes `{name}` in place, which reused steps take over from an earlier step"
                raise self.error("carried-value-changed", message, ("head",), statement)

    def refuse_rebound_closures(self, reader: Reader, body: Sequence[ast.stmt], place: Mapping[int, str]) -> None:
        """A nested function must not read a name that is bound again on the other side of a cut.

        One that is only called on its own side may.

        Args:
            reader: Reads effects in the forward.
            body: The statements of the forward.
            place: Where they go, by their identity; the others go to the postlude.
        """
        effects = [reader.effects(statement) for statement in body]
        for index, one in enumerate(effects):
            for later in range(index + 1, len(body)):
                here, there = (place.get(id(body[i]), "postlude") for i in (index, later))
                rebound = local_names(one.captures & effects[later].binds) if here != there else set[str]()
                beside = [s for s in body if place.get(id(s), "postlude") == here]
                for name in sorted(rebound):
                    if only_called_in(beside, body, body[index], name):
                        continue
                    message = f"a nested function in the {here} reads `{name}`, which is bound again in the {there}"
                    raise self.error("rebound-closure", message, ("model",), body[index])

    def refuse_behind(self, behind: Function, state: BlockState, *, takes_over: bool, changes_arguments: bool) -> None:
        """What a forward does behind the method that is cut must not see that a reused step runs no blocks.

        Args:
            behind: What it does.
            state: Finds reads of what blocks leave on themselves, in the method.
            takes_over: Whether what the method gives may hold values of an earlier step.
            changes_arguments: Whether the blocks may change in place what the method was handed.
        """
        entry, module = self.source.entry, self.source.model
        reader, last = Reader.of(module, entry), behind.body[-1]
        place = f"`{entry.title}` reads `{{}}` behind `{self.source.handed_on}(...)`"
        found = BlockState(reader, state.loops, self.source.norm, entry.node.body)
        for statement in behind.body:
            for read, _ in found.reads(statement):
                message = f"{place.format(read)}, which belongs to whatever call ran the blocks last"
                raise self.error("state-of-blocks", message, ("blocks",), statement, entry)
            if takes_over and local_names(reader.effects(statement).changes):
                message = f"`{entry.title}` may change in place what reused steps take over from an earlier step"
                raise self.error("carried-value-changed", message, ("head",), statement, entry)
        handed = {node.id for call in _calls_above(entry) for node in walk(call) if isinstance(node, ast.Name)}
        shared = Aliases(map(reader.effects, entry.node.body), reader.containers).closure(handed - {entry.self_name})
        known = [name for name in behind.parameters[:-1] if name in shared]
        if changes_arguments and known:
            message = f"{place.format(known[0])}, whose blocks may change in place what they are handed"
            raise self.error("stale-value", message, ("blocks",), last, entry)

    def stale(self, error: StaleValueError) -> SpecError:
        """A value of this call that could only be taken over from an earlier one."""
        message = (
            f"the postlude reads `{error.name}`, which belongs to each call, and which cannot be computed again behind "
            f"the blocks: {error.reason}"
        )
        file = self.source.model.forward.file
        bound = file.label(error.bound, "bound or changed here, in the blocks")
        return self._at_blocks("stale-value", message, bound, file.label(error.read, "read here"))

    def state(self, found: LeftBehind, body: Sequence[ast.stmt]) -> SpecError:
        """What blocks leave on the model, which belongs to whatever call ran them last."""
        message = f"the postlude reads `{found.read}`, which belongs to whatever call ran the blocks last"
        forward, block = self.source.model.forward, self.source.norm.frames[0].forward
        inside = any(found.left is node for statement in body for node in walk(statement))
        left = (forward if inside else block).file.label(found.left, "the blocks may leave it here")
        if found.reader is None:
            message = f"the blocks leave `{found.read}` on the model; behind a reused step it is that of another call"
            return self._at_blocks("state-of-blocks", message, left)
        return self._at_blocks("state-of-blocks", message, left, forward.file.label(found.reader, "read here"))

    def _at_blocks(self, code: str, message: str, *labels: Label) -> SpecError:
        return SpecError([Diagnostic(code, message, (self.spec.document.label("named here", "blocks"), *labels))])


def _calls_above(entry: FunctionSource) -> list[ast.Call]:
    """The calls of methods that a forward overrides."""
    return [node for node in walk(entry.node) if isinstance(node, ast.Call) and super_attribute(node.func)]
