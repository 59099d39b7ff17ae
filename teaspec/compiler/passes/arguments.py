"""arguments: landmarks -> call arguments. Tells the timestep, and what is made anew at each step, from the rest."""

from __future__ import annotations

from collections.abc import Iterator

from teaspec.compiler.analysis.flow.dataflow import parameter_names
from teaspec.compiler.analysis.signal.timestep import conventional_parameters, timestep_parameters
from teaspec.compiler.forms.arguments import CallArguments
from teaspec.compiler.forms.document import Path
from teaspec.compiler.forms.landmarks import Landmarks
from teaspec.compiler.forms.paths import first_of
from teaspec.compiler.forms.source import FunctionSource, ModelSource
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.report import Diagnostic, SpecError, did_you_mean, what_there_is
from teaspec.versions.history import history_of


def tell_arguments(spec: Spec, source: ModelSource, landmarks: Landmarks) -> CallArguments:
    """Tells what a caller makes of the arguments of the model's forward.

    Args:
        spec: A checked spec. What it says comes before what the source shows.
        source: The model's source.
        landmarks: The spec's landmarks, found in it.

    Raises:
        SpecError: `unknown-argument`, one for each name under `timestep`, `varying`, `bypass` and `blocks.carried`
            that the forward does not take, in this version of the model or in another that is known.
    """
    entry = source.entry
    mistakes = list(_unknown_arguments(spec, entry)) if _is_own(spec, source) else []
    if mistakes:
        raise SpecError(mistakes)
    varying = tuple(name for name in spec.varying if _takes(entry, name))
    return CallArguments(_timestep(spec, source, landmarks), varying or _taken(entry)[:1], tuple(spec.bypass))


def _is_own(spec: Spec, source: ModelSource) -> bool:
    """Whether a forward is the one that the spec was written about.

    Another package's class of that name, an alias or a replaced forward need not take all that it names.
    """
    package, entry = first_of(spec.import_path), source.entry
    is_alias = source.model.class_name in spec.aliases
    return bool(entry.owner) and first_of(entry.file.module) == package and not is_alias


def _timestep(spec: Spec, source: ModelSource, landmarks: Landmarks) -> tuple[str, ...]:
    if spec.timestep is not None and _takes(source.entry, spec.timestep):
        return (spec.timestep,)
    if spec.embed is None:
        return conventional_parameters(_taken(source.entry))
    prelude = landmarks.body[: landmarks.first]
    return timestep_parameters(source, prelude, spec.embed.call, spec.embed.names)


def _taken(entry: FunctionSource) -> tuple[str, ...]:
    """The arguments that can be passed by a name, in their order."""
    stars = {star.arg for star in (entry.node.args.vararg, entry.node.args.kwarg) if star is not None}
    return tuple(name for name in parameter_names(entry.node.args) if name not in stars)


def _takes(entry: FunctionSource, name: str) -> bool:
    return entry.node.args.kwarg is not None or name in _taken(entry)


def _unknown_arguments(spec: Spec, entry: FunctionSource) -> Iterator[Diagnostic]:
    taken, history = _taken(entry), history_of(spec.model)
    for name, where in _named(spec):
        if not _takes(entry, name) and history.find("inputs", name) is None:
            named = spec.document.label("named here", *where)
            shown = entry.file.label(entry.node, "its arguments")
            help_lines = did_you_mean(name, taken) or what_there_is(taken, "arguments")
            message = f"`{entry.title}` takes no argument `{name}`"
            yield Diagnostic("unknown-argument", message, (named, shown), help_lines)


def _named(spec: Spec) -> Iterator[tuple[str, Path]]:
    """The arguments that the spec names, each with where it does."""
    if spec.timestep is not None:
        yield spec.timestep, ("timestep",)
    for index, name in enumerate(spec.varying):
        yield name, ("varying", index)
    for index, name in enumerate(spec.blocks.carried):
        yield name, ("blocks", "carried", index)
    for index, rule in enumerate(spec.bypass):
        yield first_of(rule.partition("=")[0]).strip(), ("bypass", index)
