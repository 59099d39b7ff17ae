"""Every transformer of diffusers has a spec, or a reason why it has none."""

from __future__ import annotations

from teaspec.runtime.calibrations.registry import known_types
from tools.models.classes import exceptions, transformer_classes


def test_every_class_has_a_spec_or_a_reason():
    """A new diffusers may bring new classes. Write a spec for each, or its reason into tools/models/exceptions.yaml."""
    assert transformer_classes() - set(known_types()) - set(exceptions()) == set()


def test_the_exceptions_are_classes_without_a_spec_and_say_why():
    assert set(exceptions()) <= transformer_classes()
    assert set(exceptions()) & set(known_types()) == set()
    for name, reason in exceptions().items():
        assert reason.endswith(".") and len(reason.split()) > 3, name
