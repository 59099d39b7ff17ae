"""inline: model source -> model source. Helper methods that hold a block loop are written out where they are called."""

from __future__ import annotations

from dataclasses import replace

from teaspec.compiler.analysis.inlining import written_out
from teaspec.compiler.forms.source import ModelSource
from teaspec.compiler.forms.spec import Spec


def inline(spec: Spec, source: ModelSource) -> ModelSource:
    """Write out the helper methods in which the block loops stand, so that the forward can be cut at the loops.

    Only what means the same in the forward's own body is written out; all other helpers stay calls.

    Args:
        spec: A checked spec.
        source: The model's source.
    """
    forward = written_out(source.model.forward, source.model.methods, spec.blocks.loops)
    entry = forward if source.entry is source.model.forward else source.entry
    return replace(source, model=replace(source.model, forward=forward), entry=entry)
