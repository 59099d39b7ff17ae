"""Which spec is for which class: those of vLLM-Omni's own classes come before those of diffusers' of the same name."""

from __future__ import annotations

from functools import cache
from typing import Any

from teaspec.catalog.extractor import SpecExtractor
from teaspec.catalog.shipped import class_names, model_path, shipped_folder
from teaspec.runtime.calibrations.registry import Extractor, get_extractor, known_types

_FOLDER = "vllm_omni"
"""Of its specs; and the package that their classes come from."""


def spec_types() -> dict[str, tuple[Extractor, ...]]:
    """The extractors of all specs by the class names that they are for; several where classes share a name."""
    known = {name: get_extractor(name) for name in known_types()}
    shipped: dict[str, tuple[Extractor, ...]] = {
        name: (one,) for name, one in known.items() if hasattr(one, "compiled_for")
    }
    return {**shipped, **{name: tuple(one for _, one in found) for name, found in _own().items()}}


def find_extractor(cls: type) -> Extractor | None:
    """The extractor of the first name along a class's MRO that has one, so that wrappers by subclassing are served."""
    known = set(known_types())
    for base in cls.__mro__:
        if base.__name__ in _own() and base.__module__.startswith(f"{_FOLDER}."):
            return _of_class(base)
        if base.__name__ in known:
            return get_extractor(base.__name__)
    return None


def _of_class(cls: type) -> Extractor | None:
    """Of the specs for a name that of its very module; where there is one alone, a class that was moved has it, too."""
    found = _own()[cls.__name__]
    very = next((one for module, one in found if module == cls.__module__), None)
    return found[0][1] if very is None and len(found) == 1 else very


def blocks_of(extractor: Any) -> tuple[str, ...]:
    """The attributes that a class must have to be the one that the extractor's spec is about: its lists of blocks."""
    spec = getattr(extractor, "spec", None)
    return () if spec is None else tuple(loop.partition(".")[0] for loop in spec.blocks.loops)


@cache
def _own() -> dict[str, tuple[tuple[str, SpecExtractor], ...]]:
    """The specs of vLLM-Omni's own classes by the names of these, each with the module of its class."""
    found: dict[str, tuple[tuple[str, SpecExtractor], ...]] = {}
    for path in sorted((shipped_folder() / _FOLDER).glob("*.yaml")):
        extractor, module = SpecExtractor(path), (model_path(path) or "").partition(":")[0]
        for name in class_names(path):
            found[name] = (*found.get(name, ()), (module, extractor))
    return found
