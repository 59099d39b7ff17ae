from __future__ import annotations

from typing import Any

import pytest

from teaspec import Defaults, get_extractor, register_extractor
from teaspec.runtime.calibrations import registry
from teaspec.runtime.calibrations.registry import find_defaults, find_type, known_types
from tests.runtime.models import SingleStream, extract_dual, extract_single


def test_a_name_is_matched_exactly() -> None:
    register_extractor("SingleStream", extract_single)
    assert get_extractor("SingleStream") is extract_single
    with pytest.raises(ValueError, match=r"'singleStream'; did you mean 'SingleStream'\? Known: SingleStream"):
        get_extractor("singleStream")


def test_a_class_is_looked_up_along_its_mro() -> None:
    class Wrapped(SingleStream):
        pass

    register_extractor("SingleStream", extract_single)
    assert get_extractor(Wrapped) is extract_single
    assert find_type(Wrapped) == "SingleStream"
    register_extractor("Wrapped", extract_dual)
    assert get_extractor(Wrapped) is extract_dual


def test_an_unknown_class_is_an_error_that_lists_what_there_is() -> None:
    assert find_type(SingleStream) is None
    with pytest.raises(ValueError, match=r"'SingleStream'\. Known: none"):
        get_extractor(SingleStream)


def test_a_second_registration_replaces_the_first() -> None:
    register_extractor("SingleStream", extract_single)
    register_extractor("SingleStream", extract_dual)
    assert get_extractor("SingleStream") is extract_dual
    assert known_types() == ("SingleStream",)


def test_replacing_an_extractor_keeps_the_calibration() -> None:
    first, second = Defaults(source="first"), Defaults(source="second")
    register_extractor("SingleStream", extract_single, first)
    register_extractor("SingleStream", extract_single, second)
    register_extractor("SingleStream", extract_dual)
    register_extractor("SingleStream", extract_single)
    assert find_defaults("SingleStream") is second


def test_an_extractors_own_defaults_are_read_when_they_are_needed() -> None:
    read = []

    class Extractor:
        @property
        def defaults(self) -> Defaults:
            read.append(self)
            return Defaults(source="own")

        def __call__(self, module: Any) -> None: ...

    register_extractor("SingleStream", extract_single, Defaults(source="before"))
    register_extractor("SingleStream", Extractor())
    register_extractor("Other", extract_single)
    assert read == []
    assert find_defaults("SingleStream") == Defaults(source="own")
    assert find_defaults("Other") is None
    assert find_defaults("Nobody") is None


@pytest.mark.parametrize(("name", "extractor"), [(SingleStream, extract_single), ("SingleStream", "extract")])
def test_wrong_types_are_refused(name: Any, extractor: Any) -> None:
    with pytest.raises(TypeError, match="must be"):
        register_extractor(name, extractor)
    assert known_types() == ()


def test_registering_again_and_again_costs_nothing():
    """A server may do so for each request; every registration used to remember the one before."""
    defaults = Defaults(source="first")
    register_extractor("Often", lambda module: None, defaults)
    for _ in range(5000):
        register_extractor("Often", lambda module: None)
    assert find_defaults("Often") is defaults
    assert len(registry._entries["Often"].replaced) == 1
