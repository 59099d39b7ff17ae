"""What a probe may make objects of: classes that the model's own module defines, and nothing else.

A spec is data, perhaps a stranger's. It names no modules to import beside the model's, and no classes that anybody
brought into the model's module from elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from teaspec.compiler.forms.document import Path
from teaspec.compiler.forms.probe import Input, Probe
from teaspec.compiler.forms.values import ObjectOf, Value, inner_values
from teaspec.compiler.report import did_you_mean
from teaspec.compiler.rules.finding import Finding


def own_classes(model: type) -> dict[str, type]:
    """The classes that are defined in the module of the model's class, by name."""
    defined = vars(sys.modules[model.__module__]).items()
    return {name: value for name, value in defined if isinstance(value, type) and value.__module__ == model.__module__}


def check_objects(probe: Probe, model: type) -> Iterator[Finding]:
    """Finds objects of classes that are not the model's own.

    Args:
        probe: The probe.
        model: The model's class.
    """
    known = own_classes(model)
    holders: list[tuple[Path, Mapping[str, Input]]] = [(("probe", "inputs"), probe.inputs)]
    holders += [(("probe", "cases", index, "inputs"), case.inputs) for index, case in enumerate(probe.cases)]
    for path, inputs in holders:
        for name, given in inputs.items():
            for where, class_name in _objects((*path, name), given.value):
                if class_name not in known:
                    message = f"the module of `{model.__name__}` defines no class `{class_name}`"
                    yield Finding((*where, "object"), "foreign-object", message, help=did_you_mean(class_name, known))


def _objects(path: Path, value: Value) -> Iterator[tuple[Path, str]]:
    if isinstance(value, ObjectOf):
        yield path, value.class_name
    for step, item in inner_values(value):
        yield from _objects((*path, *step), item)
