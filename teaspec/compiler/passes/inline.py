"""inline: model source -> model source. Helper methods that hold a block loop are written out where they are called."""

from __future__ import annotations

from dataclasses import replace

from teaspec.compiler.analysis.writing.handing_on import handed_above
from teaspec.compiler.analysis.writing.inlining import written_out
from teaspec.compiler.forms.source import ModelSource
from teaspec.compiler.forms.spec import Spec


def inline(spec: Spec, source: ModelSource) -> ModelSource:
    """Writes out the helper methods in which the block loops stand, so that the forward can be cut at the loops.

    Only what means the same in the forward's own body is written out; all other helpers stay calls. Where the forward
    returns or assigns what `super().forward(...)` gives, of a class in another file for example, that is what is cut,
    and the forward goes before it and behind it.

    Args:
        spec: A checked spec.
        source: The model's source.
    """
    forward = written_out(source.model.forward, source.model.methods, spec.blocks.loops)
    if source.entry is not source.model.forward:
        return replace(source, model=replace(source.model, forward=forward))
    above = handed_above(forward, source.model.methods, spec.blocks.loops)
    if above is None:
        return replace(source, model=replace(source.model, forward=forward), entry=forward)
    name, method = above
    holder = written_out(method, source.model.methods, spec.blocks.loops)
    return replace(source, model=replace(source.model, forward=holder), handed_on=name)
