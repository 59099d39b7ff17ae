"""Why there is nothing to hook in what was handed over, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from teaspec.runtime.calibrations.registry import find_type, known_types
from teaspec.runtime.host.library import unwrap_module
from teaspec.runtime.host.wrappers import find_obstacle, unwrapped
from teaspec.runtime.naming import listed, nearest

_OTHER_KINDS = {
    "diffusers.models.unets": "a UNet has no stack of blocks with one input and one output, which TeaCache skips; "
    "caches for UNets (DeepCache, say) skip its inner levels",
    "diffusers.models.autoencoders": "an autoencoder runs once for each image or video, so there is nothing to reuse; "
    "hand over the pipeline, or its transformer",
    "diffusers.models.controlnets": "a ControlNet runs beside the transformer, whose blocks TeaCache skips; hand over "
    "the pipeline, or its transformer",
}
"""What to say of models that are no transformers, by the package of diffusers that they are defined in."""

_EXPECTED = "expected a pipeline, or a transformer"


def require_holder(subject: Any) -> None:
    """Refuses what can hold no transformer.

    Args:
        subject: What was handed over as a pipeline.

    Raises:
        TypeError: If it is refused.
    """
    if subject is None:
        raise TypeError(f"{_EXPECTED}, found None; DiffusionPipeline.from_pretrained(...) returns a pipeline")
    if isinstance(subject, str):
        raise TypeError(
            f"{_EXPECTED}, found the text {subject!r}; load it first: DiffusionPipeline.from_pretrained({subject!r})"
        )
    if isinstance(subject, type):
        raise TypeError(
            f"{_EXPECTED}, found the class {subject.__name__}; make one of it first: "
            f"{subject.__name__}.from_pretrained(...)"
        )
    if not hasattr(subject, "__dict__"):
        raise TypeError(
            f"{_EXPECTED}, found a {type(subject).__name__}; hand over the object that holds the transformer"
        )


def require_module(subject: Any) -> None:
    """Refuses what is no module where one transformer was asked for.

    Args:
        subject: What was handed over.

    Raises:
        TypeError: If it is refused.
    """
    if isinstance(subject, nn.Module):
        return
    held = [
        name for name, one in _parts(subject).items() if isinstance(one, nn.Module) and find_type(type(unwrapped(one)))
    ]
    kind = "None" if subject is None else f"a {type(subject).__qualname__}"
    following = (
        f"it holds one: hand over `.{held[0]}`, or call teaspec.enable(pipeline)"
        if held
        else "teaspec.enable(pipeline) takes a whole pipeline"
    )
    raise TypeError(f"module must be a torch.nn.Module, found {kind}; {following}")


def _parts(subject: Any) -> Mapping[str, Any]:
    components = getattr(subject, "components", None)
    return components if isinstance(components, Mapping) else getattr(subject, "__dict__", {})


def refuse_obstacles(pipeline: Any, modules: Mapping[str, nn.Module]) -> None:
    """Refuses wrappers that nothing can be cached through, around a pipeline's modules or around a transformer.

    Args:
        pipeline: What was handed over.
        modules: The modules that it has, by name.

    Raises:
        ValueError: If there is one.
    """
    whole = {type(pipeline).__name__: unwrapped(pipeline)} if isinstance(pipeline, nn.Module) else {}
    for name, module in {**whole, **modules}.items():
        obstacle = find_obstacle(module)
        if obstacle is not None:
            raise ValueError(f"`{name}`: {obstacle}")


def refuse_pipeline(pipeline: Any, modules: Mapping[str, nn.Module]) -> ValueError:
    """Returns the error that no module of a pipeline can be hooked.

    Args:
        pipeline: What was handed over.
        modules: The modules that it has, by name.
    """
    if isinstance(pipeline, nn.Module):
        return ValueError(f"TeaCache is not for this {type(pipeline).__name__}: {why_not(pipeline)}")
    found = (f"{name} ({type(module).__name__})" for name, module in modules.items())
    reasons = [
        f"`{name}`: {why_not(module)}"
        for name, module in modules.items()
        if _other_kind(module) or _find_held(module) or _may_be_a_transformer(module)
    ]
    text = f"{type(pipeline).__name__} has no transformer that TeaCache knows. It has: {listed(found)}"
    return ValueError(". ".join([text, *reasons]))


def why_not(module: nn.Module) -> str:
    """Returns why a module of a class that nobody knows cannot be hooked, and what to do next.

    Args:
        module: What was handed over, or a part of it.
    """
    obstacle, held, kind = find_obstacle(module), _find_held(module), _other_kind(module)
    if obstacle is not None:
        return obstacle
    if kind is not None:
        return kind
    if held is not None:
        return f"it is no transformer that is known, but holds one, a {type(held[1]).__name__}: hand over `.{held[0]}`"
    cls = type(module)
    return f"no spec and no extractor is for its class. {nearest(cls.__name__, known_types())} {_drafting(cls)}"


def _drafting(cls: type) -> str:
    """How a spec for a class begins."""
    if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        return (
            f"For a spec, put the class into a module of its own, my_model.py say, and draft one: "
            f"`teaspec init my_model:{cls.__name__} -o {cls.__name__}.yaml`; "
            f"or register_extractor({cls.__name__!r}, ...)"
        )
    return (
        f"`teaspec init {cls.__module__}:{cls.__qualname__} -o {cls.__name__}.yaml` drafts a spec, "
        f"teaspec.register_spec takes it; or register_extractor({cls.__name__!r}, ...)"
    )


def _other_kind(module: nn.Module) -> str | None:
    home = type(module).__module__
    return next((text for package, text in _OTHER_KINDS.items() if f"{home}.".startswith(f"{package}.")), None)


def _find_held(module: nn.Module) -> tuple[str, nn.Module] | None:
    """The first transformer that is known below a module, with the way to it."""
    below = ((name, unwrap_module(one)) for name, one in module.named_modules() if name)
    return next(((name, one) for name, one in below if find_type(type(one)) is not None), None)


def _may_be_a_transformer(module: nn.Module) -> bool:
    """Whether a module has lists of blocks of its own; text encoders, which run once, are left out."""
    is_encoder = type(module).__module__.partition(".")[0] == "transformers"
    return not is_encoder and any(isinstance(child, nn.ModuleList) for child in module.children())
