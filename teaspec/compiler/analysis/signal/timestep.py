"""Which argument of a forward is the timestep: the one that its embedding call embeds."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from teaspec.compiler.analysis.effects.statements import effects_of
from teaspec.compiler.analysis.flow.argument_flow import Argument, Made, arguments_of, bound
from teaspec.compiler.analysis.flow.search import calls_of, simple_statements
from teaspec.compiler.analysis.syntax.names import called_name, parameters_of
from teaspec.compiler.analysis.syntax.walking import walk
from teaspec.compiler.forms.called import CalledName, MethodName
from teaspec.compiler.forms.source import FunctionSource, ModelSource

CONVENTIONAL = ("timestep", "timesteps", "t", "time", "sigma", "sigmas")
"""What a timestep is called wherever its argument is named for nothing else."""

_TIME = re.compile(r"time|sigma|noise|snr|(^|_)(t|step|steps|tau|lambda|alpha|gamma)($|_)")
_OTHER = re.compile(
    r"text|txt|prompt|capt|label|class|pooled|guidance|cfg|mask|encoder|image|img|hidden|latent|context|cond|size|crop|"
    r"token|embed|style|(^|_)(x|y|z|c|cap|feats|ids)($|_)"
)


def timestep_parameters(
    source: ModelSource, statements: Sequence[ast.stmt], call: str, names: Collection[str]
) -> tuple[str, ...]:
    """Finds the parameters of a model's forward that are its timestep, in the order to try.

    Args:
        source: The model's source.
        statements: The statements of the forward in front of its blocks.
        call: The submodule or method that embeds the timestep.
        names: What its result is bound to.

    Returns:
        Their names; none where the embedding is made of no argument, or does not show which.
    """
    forward, self_name = source.model.forward, source.model.forward.self_name
    embedding = [
        node
        for statement in simple_statements(statements)
        if effects_of(statement, self_name=self_name).binds & {*names}
        for node in calls_of(statement, call, self_name)
    ]
    given = arguments_of(embedding, statements, forward, source.model.methods)
    if source.entry is not forward:
        given = _handed_on(given, forward, source.entry, source.handed_on, source.model.methods)
    every = parameters_of(source.entry.node.args)
    return _chosen(given, latents=every[1] if len(every) > 1 else "")


def conventional_parameters(parameters: Collection[str]) -> tuple[str, ...]:
    """The parameters that are named as timesteps are, where no embedding call shows it."""
    return tuple(name for name in CONVENTIONAL if name in parameters)


def _handed_on(
    given: Iterable[Sequence[Argument]],
    forward: FunctionSource,
    entry: FunctionSource,
    method: CalledName | None,
    methods: Mapping[MethodName, FunctionSource],
) -> list[list[Argument]]:
    """Arguments that are made of a method's parameters, as made of those of the forward that hands on to the method."""
    nodes = (node for node in walk(entry.node) if isinstance(node, ast.Call))
    calls = [node for node in nodes if called_name(node.func, entry.self_name) == method]
    known: dict[str, Made] = {}
    for arguments in arguments_of(calls, entry.node.body, entry, methods):
        for name, made in bound(forward.node.args, arguments).items():
            known[name] = known.get(name, Made()).joined(made)
    return [
        [
            Argument(a.keyword, Made(tuple(dict.fromkeys(n for name in a.made.names for n in _names(known, name)))))
            for a in arguments
        ]
        for arguments in given
    ]


def _names(known: Mapping[str, Made], name: str) -> tuple[str, ...]:
    return known[name].names if name in known else ()


def _chosen(given: Sequence[Sequence[Argument]], latents: str) -> tuple[str, ...]:
    reaching = dict.fromkeys(name for call in given for argument in call for name in argument.made.names)
    conventional = conventional_parameters(reaching)
    if conventional:
        return conventional
    found = dict.fromkeys(name for call in given for name in _of_call(call, latents))
    return tuple(found)


def _of_call(call: Sequence[Argument], latents: str) -> tuple[str, ...]:
    """The parameters that one embedding call takes for its timestep."""
    ranked = sorted((a for a in call if a.made.names), key=_rank)  # stable: the first of equals
    for argument in ranked:
        names = argument.made.names
        told = tuple(name for name in names if _TIME.search(name.lower()))
        rest = tuple(name for name in names if name != latents and not _OTHER.search(name.lower()))
        if told or rest:
            return told or rest
    return ()


def _rank(argument: Argument) -> int:
    """0 for what says that it is a time, by its keyword or by a name; 1 for what is passed by its place."""
    says_time = argument.keyword is not None and _TIME.search(argument.keyword.lower()) is not None
    if says_time or any(_TIME.search(name.lower()) for name in argument.made.names):
        return 0
    return 1 if argument.keyword is None else 2
