"""What a spec's names are called in a forward in which helper methods were written out.

A spec names values as the model's source does. A helper's local name that clashes with one of the forward's is another
one where the helper was written out.
"""

from __future__ import annotations

from collections.abc import Set

from teaspec.compiler.analysis.flow.search import calls_of, simple_statements
from teaspec.compiler.analysis.loops.loops import find_loops
from teaspec.compiler.analysis.syntax.names import bound_names
from teaspec.compiler.forms.source import ModelSource
from teaspec.compiler.forms.spec import Spec


def as_written_out(spec: Spec, source: ModelSource) -> Spec:
    """The spec in the names of the forward that is cut.

    Args:
        spec: A checked spec.
        source: The model's source, with the helpers written out.

    Returns:
        The spec; with other names for streams that the block loops bind, and for what the embedding call binds, where
        these are a helper's.
    """
    forward = source.model.forward
    if not any(helper.names[name] != name for helper in forward.written_out for name in helper.names):
        return spec
    sites = [s for name in spec.blocks.loops for s in find_loops(forward.node, name, forward, source.model.methods)]
    in_loops = bound_names([site.node for site in sites])

    def spelt(name: str, bound: Set[str]) -> str:
        others = [helper.names[name] for helper in forward.written_out if name in helper.names]
        return name if name in bound else next((other for other in others if other in bound), name)

    streams = {role: spelt(getattr(spec.streams, role), in_loops) for role in ("hidden", "encoder")}
    changes: dict[str, object] = {"streams": spec.streams.model_copy(update=streams)}
    if spec.embed is not None:
        call = spec.embed.call
        statements = [
            s for s in simple_statements(forward.node.body) if any(True for _ in calls_of(s, call, forward.self_name))
        ]
        embedding = bound_names(statements)
        names = tuple(spelt(name, embedding) for name in spec.embed.names)
        changes["embed"] = spec.embed.model_copy(update={"names": names})
    return spec.model_copy(update=changes)
