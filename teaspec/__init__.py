"""TeaCache for diffusion transformers, with extractors compiled from the model's own forward.

Importing this package registers the shipped specs. It compiles nothing, and it imports neither torch nor diffusers:
each public name is imported on first use, and specs of users are looked for when the first model is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from teaspec.catalog import register_at_import

if TYPE_CHECKING:
    from teaspec.catalog.users import register_spec
    from teaspec.compiler import SpecError, compile_spec, load_spec
    from teaspec.runtime.apply import apply_teacache_hook, remove_teacache_hook
    from teaspec.runtime.backend import CacheBackend, TeaCacheBackend
    from teaspec.runtime.branches import branch
    from teaspec.runtime.calibration import Calibration, Defaults
    from teaspec.runtime.config import DiffusionCacheConfig, TeaCacheConfig
    from teaspec.runtime.context import CacheContext, Finished
    from teaspec.runtime.hook import TeaCacheHook
    from teaspec.runtime.pipelines import end_session
    from teaspec.runtime.registry import get_extractor, register_extractor
    from teaspec.runtime.selection import disable, enable, get_cache_backend
    from teaspec.runtime.sessions import session
    from teaspec.runtime.state import TeaCacheState
    from teaspec.runtime.stats import stats

    __version__: str

__all__ = [
    "CacheBackend",
    "CacheContext",
    "Calibration",
    "Defaults",
    "DiffusionCacheConfig",
    "Finished",
    "SpecError",
    "TeaCacheBackend",
    "TeaCacheConfig",
    "TeaCacheHook",
    "TeaCacheState",
    "__version__",
    "apply_teacache_hook",
    "branch",
    "compile_spec",
    "disable",
    "enable",
    "end_session",
    "get_cache_backend",
    "get_extractor",
    "load_spec",
    "register_extractor",
    "register_spec",
    "remove_teacache_hook",
    "session",
    "stats",
]

_HOMES = {
    "CacheBackend": "teaspec.runtime.backend",
    "CacheContext": "teaspec.runtime.context",
    "Calibration": "teaspec.runtime.calibration",
    "Defaults": "teaspec.runtime.calibration",
    "DiffusionCacheConfig": "teaspec.runtime.config",
    "Finished": "teaspec.runtime.context",
    "SpecError": "teaspec.compiler",
    "TeaCacheBackend": "teaspec.runtime.backend",
    "TeaCacheConfig": "teaspec.runtime.config",
    "TeaCacheHook": "teaspec.runtime.hook",
    "TeaCacheState": "teaspec.runtime.state",
    "apply_teacache_hook": "teaspec.runtime.apply",
    "branch": "teaspec.runtime.branches",
    "compile_spec": "teaspec.compiler",
    "disable": "teaspec.runtime.selection",
    "enable": "teaspec.runtime.selection",
    "end_session": "teaspec.runtime.pipelines",
    "get_cache_backend": "teaspec.runtime.selection",
    "get_extractor": "teaspec.runtime.registry",
    "load_spec": "teaspec.compiler",
    "register_extractor": "teaspec.runtime.registry",
    "register_spec": "teaspec.catalog.users",
    "remove_teacache_hook": "teaspec.runtime.apply",
    "session": "teaspec.runtime.sessions",
    "stats": "teaspec.runtime.stats",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Read from the installed package, on demand: importlib.metadata costs more than this whole import.
        return import_module("importlib.metadata").version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_at_import()
