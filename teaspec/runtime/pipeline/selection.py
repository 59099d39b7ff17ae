"""Choosing a cache by its name, by the environment, or in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from teaspec.runtime.naming import did_you_mean, listed
from teaspec.runtime.pipeline.backend import CacheBackend, TeaCacheBackend
from teaspec.runtime.pipeline.clock import is_scheduler
from teaspec.runtime.pipeline.thresholds import NOT_SAID
from teaspec.runtime.settings.asked import WAYS
from teaspec.runtime.settings.config import DiffusionCacheConfig

ENVIRONMENT = ("DIFFUSION_CACHE_BACKEND", "DIFFUSION_CACHE_ADAPTER")
"""Variables that name the backend; the first that is set counts."""

NO_CACHE = "none"

BACKENDS: dict[str, type[CacheBackend]] = {"tea_cache": TeaCacheBackend}


def get_cache_backend(
    cache_backend: str | None = None, cache_config: DiffusionCacheConfig | Mapping[str, Any] | None = None
) -> CacheBackend | None:
    """Returns a cache backend by its name.

    Args:
        cache_backend: `tea_cache`, or `none`. Without it the environment is asked: `DIFFUSION_CACHE_BACKEND`, then the
            older `DIFFUSION_CACHE_ADAPTER`.
        cache_config: Settings; None takes the defaults.

    Returns:
        The backend, to be enabled on a pipeline; a `with` of it switches off behind it what was switched on in it. None
        where there is to be no cache.

    Raises:
        ValueError: If there is no backend of that name, a setting is unknown or a value is out of range.
        TypeError: If the settings are neither a config nor a mapping.
    """
    source, name = "", cache_backend
    if name is None:
        variable = next((variable for variable in ENVIRONMENT if os.environ.get(variable)), None)
        if variable is not None:
            source, name = f" (from {variable})", os.environ[variable].lower()
    if name is None or name == NO_CACHE:
        return None
    if name not in BACKENDS:
        known = (*BACKENDS, NO_CACHE)
        raise ValueError(f"unknown cache backend {name!r}{source}{did_you_mean(name, known)} Known: {listed(known)}")
    return BACKENDS[name](cache_config)


def enable(pipeline: Any, **settings: Any) -> TeaCacheBackend:
    """Applies TeaCache to all transformers of a pipeline that have an extractor.

    Where nothing says what decides, it takes a threshold that is published for the variant in use; where none is, and
    the pipeline has a scheduler to count its steps, a budget of half of them. It says at level INFO what and why.

    Args:
        pipeline: A diffusers pipeline, any object that holds its transformers as attributes, or one transformer.
        **settings: Those of `DiffusionCacheConfig`: `budget=12`, `rel_l1_thresh=0.25`, or `preset="fast"`.

    Returns:
        The backend, already enabled.

    Raises:
        ValueError: If a setting is unknown or out of range, or there is no transformer that can be hooked (see
            `TeaCacheBackend.enable`).
    """
    if all(settings.get(name) is None for name in (*WAYS, "coefficients")):
        follows = any(map(is_scheduler, getattr(pipeline, "__dict__", {}).values()))
        settings = {**settings, "preset": NOT_SAID if follows and settings.get("accumulate") is None else "balanced"}
        settings.pop("rel_l1_thresh", None)
    backend = TeaCacheBackend(settings)
    backend.enable(pipeline)
    return backend


@contextmanager
def enabled(pipeline: Any, **settings: Any) -> Iterator[TeaCacheBackend]:
    """Applies TeaCache inside of a `with`, and takes it off behind it, also after an exception.

    Args:
        pipeline: What `enable` takes.
        **settings: Those of `enable`.

    Yields:
        The backend, already enabled.

    Raises:
        TypeError: If `pipeline` can hold no transformer.
        ValueError: See `enable`.
    """
    with enable(pipeline, **settings) as backend:
        yield backend


def disable(pipeline: Any) -> None:
    """Takes TeaCache off a pipeline, whoever put it there.

    Args:
        pipeline: The pipeline, or the transformer.

    Raises:
        ValueError: If TeaCache is not on.
    """
    TeaCacheBackend().disable(pipeline)
