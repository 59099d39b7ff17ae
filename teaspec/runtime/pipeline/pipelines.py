"""The transformers of a pipeline, and what can be asked of all of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from torch import nn

from teaspec.runtime.calibrations.registry import find_type
from teaspec.runtime.host.wrappers import unwrapped
from teaspec.runtime.pipeline.apply import find_teacache_hook
from teaspec.runtime.pipeline.refusals import require_holder
from teaspec.runtime.step.hook import TeaCacheHook


def modules_of(pipeline: Any) -> dict[str, nn.Module]:
    """Returns the pipeline's modules by name, each once.

    Args:
        pipeline: A diffusers pipeline, any object that holds its transformers as attributes, or one transformer.

    Raises:
        TypeError: If it can hold none: a text, say.
    """
    require_holder(pipeline)
    pipeline = unwrapped(pipeline)
    if isinstance(pipeline, nn.Module) and (find_type(type(pipeline)) or find_teacache_hook(pipeline)):
        return {type(pipeline).__name__: pipeline}
    components = getattr(pipeline, "components", None)
    if not isinstance(components, Mapping):
        # `vars` of a module misses its children, which it keeps elsewhere.
        components = {**vars(pipeline), **dict(getattr(pipeline, "_modules", {}))}
    found: dict[str, nn.Module] = {}
    for name, component in components.items():
        module = unwrapped(component)
        if isinstance(module, nn.Module) and not any(module is other for other in found.values()):
            found[name] = module
    return found


def hooked_modules(pipeline: Any) -> dict[str, nn.Module]:
    """Returns the modules that have TeaCache, by name.

    Args:
        pipeline: A pipeline, or one transformer, whose name is then that of its class.

    Raises:
        ValueError: If none has.
    """
    hooked = {name: one for name, one in modules_of(pipeline).items() if find_teacache_hook(one) is not None}
    if not hooked:
        raise ValueError(f"TeaCache is not on for this {type(pipeline).__name__}; call enable(pipeline) first")
    return hooked


def hooks_of(pipeline: Any) -> dict[str, TeaCacheHook]:
    """Returns the TeaCache hooks of a pipeline or of one transformer, by the names of `hooked_modules`.

    Raises:
        ValueError: If there is none.
    """
    hooks = {name: find_teacache_hook(module) for name, module in hooked_modules(pipeline).items()}
    return {name: hook for name, hook in hooks.items() if hook is not None}


def end_session(pipeline: Any, key: Hashable) -> None:
    """Ends a session: what it cached is freed, and what it recorded is forgotten. One that is not there is no error.

    Args:
        pipeline: A pipeline with TeaCache, or one transformer.
        key: The key that was given to `teaspec.session`.

    Raises:
        ValueError: If TeaCache is not on.
    """
    for hook in hooks_of(pipeline).values():
        hook.sessions.end(key)
