"""The probe as the installed version of the model can be asked: without what only other versions have.

A probe is written once, for all versions. What a version lacks is left out, and said. What no version has is a
misspelling, stays, and fails.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from teaspec.compiler.forms.probe import Case, Input, Probe
from teaspec.compiler.forms.values import Absent, ObjectOf, Value, inner_values
from teaspec.compiler.rules.objects import own_classes
from teaspec.versions.history import History, Kind, history_of

if TYPE_CHECKING:
    from torch import nn

    from teaspec.compiler.forms.spec import Spec


@dataclass(frozen=True)
class FittedProbe:
    """A probe for one version.

    Attributes:
        alternatives: The base of the probe and those of its cases that there are.
        numbers: For each of them, which one it is in the spec: 0 is the base, k the k-th case.
        left_out: What was left out, each with the versions that have it.
    """

    alternatives: tuple[Probe, ...]
    numbers: tuple[int, ...]
    left_out: tuple[str, ...]


def fit_probe(spec: Spec, model_class: type[nn.Module], parameters: Mapping[str, inspect.Parameter]) -> FittedProbe:
    """Leaves out what the installed version of a model does not have, and another one does.

    The base loses single inputs and settings. A case is there for the sake of what it changes, and goes as a whole
    when it loses some of that; inputs that it need not pass go alone.

    Args:
        spec: A checked spec.
        model_class: The class that its `model` names.
        parameters: The parameters of the model's forward, without `self`.
    """
    lacking = _Lacking(history_of(spec.model), model_class, parameters)
    probe = spec.probe
    settings, inputs = dict(lacking.settings(probe.config)), dict(lacking.inputs(probe.inputs))
    base = Probe(
        config={key: value for key, value in probe.config.items() if key not in settings},
        dims=probe.dims,
        inputs={name: given for name, given in probe.inputs.items() if name not in inputs},
        dtype=probe.dtype,
    )
    left_out = [*settings.values(), *inputs.values()]
    cases = {0: base.merged(None)}
    for number, case in enumerate(probe.cases, start=1):
        without = dict(lacking.inputs(case.inputs))
        needed = [text for name, text in without.items() if not case.inputs[name].optional]
        missing = [*dict(lacking.settings(case.config)).values(), *needed]
        if missing:
            left_out.append(f"case {number}, for its {', '.join(missing)}")
            continue
        left_out += [text for text in without.values() if text not in left_out]
        kept = {name: given for name, given in case.inputs.items() if name not in without}
        cases[number] = base.merged(Case(config=case.config, dims=case.dims, inputs=kept, dtype=case.dtype))
    return FittedProbe(tuple(cases.values()), tuple(cases), tuple(left_out))


class _Lacking:
    """What a version of a class does not have, and another one does."""

    def __init__(self, history: History, model_class: type[nn.Module], taken: Mapping[str, inspect.Parameter]) -> None:
        self._history = history
        self._settings = inspect.signature(model_class.__init__).parameters
        self._taken = taken
        self._classes = own_classes(model_class)

    def settings(self, config: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Those settings of a config, each with what to say of it."""
        yield from self._of("config", "setting", [key for key in config if not _takes(self._settings, key)])

    def inputs(self, inputs: Mapping[str, Input]) -> Iterator[tuple[str, str]]:
        """Those inputs, and those that are made of a class that the version does not have."""
        asked = {name: given.value for name, given in inputs.items() if not isinstance(given.value, Absent)}
        yield from self._of("inputs", "input", [name for name in asked if not _takes(self._taken, name)])
        for name, value in asked.items():
            unknown = [one for one in _objects(value) if one not in self._classes]
            yield from ((name, text) for _, text in self._of("objects", "class", unknown))

    def _of(self, kind: Kind, word: str, names: list[str]) -> Iterator[tuple[str, str]]:
        for name in names:
            versions = self._history.find(kind, name)
            if versions is not None:
                yield name, f"{word} `{name}` ({versions})"


def _takes(parameters: Mapping[str, inspect.Parameter], name: str) -> bool:
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())


def _objects(value: Value) -> Iterator[str]:
    if isinstance(value, ObjectOf):
        yield value.class_name
    for _, item in inner_values(value):
        yield from _objects(item)
