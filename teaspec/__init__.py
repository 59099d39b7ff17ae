"""TeaCache for diffusion transformers, with extractors compiled from the model's own forward.

Importing this package registers the shipped specs. It compiles nothing, and it imports neither torch nor diffusers:
each public name is imported on first use, and specs of users are looked for when the first model is. The first use is
also when a diffusers that teaspec does not work with is refused.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from teaspec.catalog import register_at_import

if TYPE_CHECKING:
    from teaspec.catalog.users import register_spec
    from teaspec.compiler import SpecError, compile_spec, load_spec
    from teaspec.runtime.calibrations.calibration import Calibration, Defaults
    from teaspec.runtime.calibrations.registry import get_extractor, register_extractor
    from teaspec.runtime.contract.context import CacheContext, Finished
    from teaspec.runtime.generation.branches import branch
    from teaspec.runtime.generation.sessions import session
    from teaspec.runtime.generation.state import TeaCacheState
    from teaspec.runtime.pipeline.apply import apply_teacache_hook, find_teacache_hook, remove_teacache_hook
    from teaspec.runtime.pipeline.backend import CacheBackend, TeaCacheBackend
    from teaspec.runtime.pipeline.pipelines import end_session
    from teaspec.runtime.pipeline.selection import disable, enable, enabled, get_cache_backend
    from teaspec.runtime.report.stats import stats
    from teaspec.runtime.rules.fixed import Always, Never
    from teaspec.runtime.rules.rule import Rule, Seen, Start
    from teaspec.runtime.rules.schedule import Budget, Mask
    from teaspec.runtime.rules.steps import Place
    from teaspec.runtime.rules.threshold import Polynomial, Threshold
    from teaspec.runtime.rules.tolerance import Tolerance
    from teaspec.runtime.rules.verdict import Verdict
    from teaspec.runtime.settings.config import DiffusionCacheConfig, TeaCacheConfig
    from teaspec.runtime.step.hook import TeaCacheHook

    __version__: str

__all__ = [
    "Always",
    "Budget",
    "CacheBackend",
    "CacheContext",
    "Calibration",
    "Defaults",
    "DiffusionCacheConfig",
    "Finished",
    "Mask",
    "Never",
    "Place",
    "Polynomial",
    "Rule",
    "Seen",
    "SpecError",
    "Start",
    "TeaCacheBackend",
    "TeaCacheConfig",
    "TeaCacheHook",
    "TeaCacheState",
    "Threshold",
    "Tolerance",
    "Verdict",
    "__version__",
    "apply_teacache_hook",
    "branch",
    "compile_spec",
    "disable",
    "enable",
    "enabled",
    "end_session",
    "find_teacache_hook",
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
    "Always": "teaspec.runtime.rules.fixed",
    "Budget": "teaspec.runtime.rules.schedule",
    "CacheBackend": "teaspec.runtime.pipeline.backend",
    "CacheContext": "teaspec.runtime.contract.context",
    "Calibration": "teaspec.runtime.calibrations.calibration",
    "Defaults": "teaspec.runtime.calibrations.calibration",
    "DiffusionCacheConfig": "teaspec.runtime.settings.config",
    "Finished": "teaspec.runtime.contract.context",
    "Mask": "teaspec.runtime.rules.schedule",
    "Never": "teaspec.runtime.rules.fixed",
    "Place": "teaspec.runtime.rules.steps",
    "Polynomial": "teaspec.runtime.rules.threshold",
    "Rule": "teaspec.runtime.rules.rule",
    "Seen": "teaspec.runtime.rules.rule",
    "SpecError": "teaspec.compiler",
    "Start": "teaspec.runtime.rules.rule",
    "TeaCacheBackend": "teaspec.runtime.pipeline.backend",
    "TeaCacheConfig": "teaspec.runtime.settings.config",
    "TeaCacheHook": "teaspec.runtime.step.hook",
    "TeaCacheState": "teaspec.runtime.generation.state",
    "Threshold": "teaspec.runtime.rules.threshold",
    "Tolerance": "teaspec.runtime.rules.tolerance",
    "Verdict": "teaspec.runtime.rules.verdict",
    "apply_teacache_hook": "teaspec.runtime.pipeline.apply",
    "branch": "teaspec.runtime.generation.branches",
    "compile_spec": "teaspec.compiler",
    "disable": "teaspec.runtime.pipeline.selection",
    "enable": "teaspec.runtime.pipeline.selection",
    "enabled": "teaspec.runtime.pipeline.selection",
    "end_session": "teaspec.runtime.pipeline.pipelines",
    "find_teacache_hook": "teaspec.runtime.pipeline.apply",
    "get_cache_backend": "teaspec.runtime.pipeline.selection",
    "get_extractor": "teaspec.runtime.calibrations.registry",
    "load_spec": "teaspec.compiler",
    "register_extractor": "teaspec.runtime.calibrations.registry",
    "register_spec": "teaspec.catalog.users",
    "remove_teacache_hook": "teaspec.runtime.pipeline.apply",
    "session": "teaspec.runtime.generation.sessions",
    "stats": "teaspec.runtime.report.stats",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Read from the installed package, on demand: importlib.metadata costs more than this whole import.
        return import_module("importlib.metadata").version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module("teaspec.versions.supported").require_supported()
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_at_import()
