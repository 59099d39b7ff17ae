"""Which spec is for which class: those of vLLM-Omni's own classes come before those of diffusers' of the same name."""

from __future__ import annotations

from functools import cache
from typing import Any

from teaspec.catalog.extractor import SpecExtractor
from teaspec.catalog.shipped import class_names, shipped_folder
from teaspec.runtime.calibrations.registry import Extractor, get_extractor, known_types

_FOLDER = "vllm_omni"
"""Of its specs; and the package that their classes come from."""


def spec_types() -> dict[str, Extractor]:
    """The extractors of all specs by the class names that they are for."""
    known = {name: get_extractor(name) for name in known_types()}
    return {**{name: one for name, one in known.items() if hasattr(one, "compiled_for")}, **_own()}


def find_extractor(cls: type) -> Extractor | None:
    """The extractor of the first name along a class's MRO that has one, so that wrappers by subclassing are served."""
    known = set(known_types())
    for base in cls.__mro__:
        if base.__name__ in _own() and base.__module__.startswith(f"{_FOLDER}."):
            return _own()[base.__name__]
        if base.__name__ in known:
            return get_extractor(base.__name__)
    return None


def blocks_of(extractor: Any) -> tuple[str, ...]:
    """The attributes that a class must have to be the one that the extractor's spec is about: its lists of blocks."""
    spec = getattr(extractor, "spec", None)
    return () if spec is None else tuple(loop.partition(".")[0] for loop in spec.blocks.loops)


@cache
def _own() -> dict[str, SpecExtractor]:
    found = {}
    for path in sorted((shipped_folder() / _FOLDER).glob("*.yaml")):
        extractor = SpecExtractor(path)
        found.update(dict.fromkeys(class_names(path), extractor))
    return found
