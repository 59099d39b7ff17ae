"""Names of the embedding that only other versions of a model bind."""

from __future__ import annotations

from teaspec.compiler.analysis.flow.search import calls_of, simple_statements
from teaspec.compiler.analysis.syntax.names import bound_names
from teaspec.compiler.forms.source import ModelSource
from teaspec.compiler.forms.spec import Spec
from teaspec.versions.history import history_of


def as_bound_here(spec: Spec, source: ModelSource) -> Spec:
    """The spec without those names of `embed` that this version's call does not bind and another one's is known to.

    Where nothing is left, all stay: then it is for `locate` to say what is wrong.

    Args:
        spec: A checked spec.
        source: The model's source.
    """
    if spec.embed is None:
        return spec
    call, forward, history = spec.embed.call, source.model.forward, history_of(spec.model)
    statements = [
        one for one in simple_statements(forward.node.body) if any(True for _ in calls_of(one, call, forward.self_name))
    ]
    bound = bound_names(statements)
    names = tuple(n for n in spec.embed.names if n in bound or history.find("calls", f"{call} -> {n}") is None)
    if not names or names == spec.embed.names:
        return spec
    return spec.model_copy(update={"embed": spec.embed.model_copy(update={"names": names})})
