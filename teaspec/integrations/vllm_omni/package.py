"""What is looked up in vLLM-Omni: its registry, its table of coefficients, and the classes of its models."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TEACACHE = "vllm_omni.diffusion.cache.teacache"
"""The package with `register_extractor` and `CacheContext`."""

_MODELS = "vllm_omni.diffusion.models"


def import_teacache() -> Any:
    """Imports vLLM-Omni's TeaCache.

    Raises:
        ImportError: If vLLM-Omni is not installed, or cannot be imported.
    """
    if find_spec(TEACACHE.partition(".")[0]) is None:
        raise ImportError(
            "vLLM-Omni is not installed, so there is no registry to put extractors into: pip install vllm-omni"
        )
    try:
        return import_module(TEACACHE)
    except ImportError as error:
        raise ImportError(f"vLLM-Omni is installed, but {TEACACHE} cannot be imported: {error}") from error


def registered() -> Mapping[str, Any]:
    """What stands in its registry; empty where this version keeps it elsewhere."""
    return _table("extractors", "EXTRACTOR_REGISTRY") or {}


def coefficients() -> MutableMapping[str, Any] | None:
    """Its table of coefficients by the names of the registry; None where this version keeps it elsewhere."""
    return _table("config", "_MODEL_COEFFICIENTS")


def model_files() -> list[Path]:
    """The source files of its models; none where this version keeps them elsewhere."""
    try:
        spec = find_spec(_MODELS)
    except ImportError:
        return []
    folders = spec.submodule_search_locations if spec is not None else None
    return sorted(file for folder in folders or () for file in Path(folder).rglob("*.py"))


def _table(module: str, name: str) -> MutableMapping[str, Any] | None:
    try:
        table: MutableMapping[str, Any] = getattr(import_module(f"{TEACACHE}.{module}"), name)
    except (ImportError, AttributeError):
        return None
    return table
