"""What a probe may make objects of: classes that the model's own module defines, and nothing else.

A spec is data, perhaps a stranger's. It names no modules to import beside the model's, and no classes that anybody
brought into the model's module from elsewhere. Models, of any size, are no values for an argument.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from teaspec.compiler.forms.document import Path
from teaspec.compiler.forms.probe import Input
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.forms.values import ObjectOf, Value, inner_values
from teaspec.compiler.report import did_you_mean
from teaspec.compiler.rules.finding import Finding
from teaspec.versions.history import history_of


def own_classes(model: type) -> dict[str, type]:
    """The classes that are defined in the module of the model's class, models left out, by name."""
    models = _models(model)
    return {name: value for name, value in _defined(model).items() if name not in models}


def check_objects(spec: Spec, model: type) -> Iterator[Finding]:
    """Finds objects of classes that are not the model's own, in this version or in another that is known.

    Args:
        spec: A spec with a probe.
        model: The model's class.
    """
    probe, known, history = spec.probe, own_classes(model), history_of(spec.model)
    holders: list[tuple[Path, Mapping[str, Input]]] = [(("probe", "inputs"), probe.inputs)]
    holders += [(("probe", "cases", index, "inputs"), case.inputs) for index, case in enumerate(probe.cases)]
    for path, inputs in holders:
        for name, given in inputs.items():
            for where, class_name in _objects((*path, name), given.value):
                if class_name not in known and history.find("objects", class_name) is None:
                    message = f"the module of `{model.__name__}` defines no class `{class_name}`"
                    if class_name in _models(model):
                        message = f"`{class_name}` is a model, and no value for an argument"
                    yield Finding((*where, "object"), "foreign-object", message, help=did_you_mean(class_name, known))


def _defined(model: type) -> dict[str, type]:
    every = vars(sys.modules[model.__module__]).items()
    return {name: value for name, value in every if isinstance(value, type) and value.__module__ == model.__module__}


def _models(model: type) -> set[str]:
    """Those of them that are torch's modules, told without torch."""
    base = "torch.nn.modules.module.Module"
    lineages = {name: value.__mro__ for name, value in _defined(model).items()}
    return {n for n, lineage in lineages.items() if any(f"{c.__module__}.{c.__qualname__}" == base for c in lineage)}


def _objects(path: Path, value: Value) -> Iterator[tuple[Path, str]]:
    if isinstance(value, ObjectOf):
        yield path, value.class_name
    for step, item in inner_values(value):
        yield from _objects((*path, *step), item)
