"""Putting compiled extractors into vLLM-Omni's registry."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from teaspec.integrations.vllm_omni.calibration import bring_coefficients, tell_uncalibrated
from teaspec.integrations.vllm_omni.classes import Survey, survey
from teaspec.integrations.vllm_omni.extractor import OmniExtractor
from teaspec.integrations.vllm_omni.package import coefficients, import_teacache, model_files, registered
from teaspec.integrations.vllm_omni.specs import blocks_of, find_extractor, spec_types
from teaspec.runtime.calibrations.registry import Extractor
from teaspec.runtime.naming import did_you_mean, listed
from teaspec.versions.supported import require_supported

logger = logging.getLogger(__name__)


def register(*names: str) -> tuple[str, ...]:
    """Puts compiled extractors into vLLM-Omni's registry, in place of its own where it has some.

    Nothing is compiled yet: an extractor compiles at its first call, against the class of the module that it is given.
    Where the spec does not fit that class, the extractor that stood in the registry before goes on, and the log says
    why. vLLM-Omni runs transformers in processes of their own, and each has a registry of its own: call this in each
    of them, from a plugin of the group `vllm_omni.general_plugins`.

    Args:
        *names: Class names of transformers, or other names that vLLM-Omni's registry has. Without any: all that have
            a spec, the classes of vLLM-Omni that derive from these, and the names of its registry that no class has.

    Returns:
        The names that were registered.

    Raises:
        ImportError: If vLLM-Omni is not installed, or cannot be imported, or diffusers is of a version that teaspec
            does not work with.
        ValueError: If a name is unknown, with the nearest one; or if vLLM-Omni's class of that name is another model.
    """
    require_supported()
    teacache = import_teacache()
    theirs, before = survey(model_files()), registered()
    specs = spec_types()
    like = dict(theirs.derived_from(specs))
    # A name that no class has is told from the module, at the first call.
    extractors: dict[str, tuple[Extractor, ...]] = {
        **{name: () for name in before if name not in theirs and name not in specs},
        **{name: specs[base] for name, base in like.items()},
        **specs,
    }
    chosen = _chosen(names, extractors, theirs)
    brought = _bring_coefficients({name: found[0] for name in chosen if (found := extractors[name])}, like)
    for name in chosen:
        old: Any = before.get(name)
        displaced = old.displaced if isinstance(old, OmniExtractor) else old
        extractor = OmniExtractor(
            name, find_extractor, teacache.CacheContext, displaced=displaced, is_uncalibrated=name in brought
        )
        teacache.register_extractor(name, extractor)
    return tuple(chosen)


def _chosen(names: Iterable[str], extractors: Mapping[str, tuple[Extractor, ...]], theirs: Survey) -> list[str]:
    for name in names:
        if name not in extractors:
            raise ValueError(f"no extractor for {name!r}{did_you_mean(name, extractors)} Known: {listed(extractors)}")
        if not _can_fit(name, extractors[name], theirs):
            raise ValueError(f"vLLM-Omni's {name!r} is another model than that of the spec, which has other blocks")
    return list(names) or [name for name, found in extractors.items() if _can_fit(name, found, theirs)]


def _can_fit(name: str, found: tuple[Extractor, ...], theirs: Survey) -> bool:
    if name not in theirs or not found:
        return True
    return any(all(theirs.can_have(name, blocks) for blocks in blocks_of(one)) for one in found)


def _bring_coefficients(extractors: Mapping[str, Extractor], like: Mapping[str, str]) -> frozenset[str]:
    table = coefficients()
    if table is None:
        logger.warning("this vLLM-Omni keeps its coefficients elsewhere: give `coefficients` in the cache_config")
        return frozenset()
    ordered = dict(sorted(extractors.items(), key=lambda item: item[0] in like))  # a base before what derives from it
    brought = bring_coefficients(table, ordered, like)
    tell_uncalibrated(brought)
    return brought
