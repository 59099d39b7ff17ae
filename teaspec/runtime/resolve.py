"""Brings a user's config and a module together: which extractor, which polynomial, which accumulation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from teaspec.runtime.config import TeaCacheConfig
from teaspec.runtime.decision import Polynomial
from teaspec.runtime.naming import did_you_mean, listed
from teaspec.runtime.registry import Defaults, find_defaults, find_type, get_extractor, known_types

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resolved:
    """A config with nothing left open, and what follows from it.

    Attributes:
        config: A copy of the user's config with every choice made.
        extractor: Serves this very module: a spec's extractor is compiled for it by now.
        polynomial: Rescales the distance.
        bypass: Arguments whose presence sends a call past the cache.
    """

    config: TeaCacheConfig
    extractor: Callable[..., Any]
    polynomial: Polynomial
    bypass: tuple[str, ...]


def resolve(config: TeaCacheConfig, module: nn.Module, given: Callable[..., Any] | None = None) -> Resolved:
    """Settles a config for a module; the config itself stays as it is.

    Args:
        config: The user's config.
        module: The transformer.
        given: An extractor to use in place of the registered one.

    Raises:
        ValueError: If no extractor serves the module, or the given type is that of another model.
    """
    transformer_type = _resolve_type(config, module) if given is None else type(module).__name__
    extractor: Any = get_extractor(transformer_type) if given is None else given
    defaults = getattr(given, "defaults", None) or find_defaults(find_type(type(module)) or transformer_type)
    coefficients = config.coefficients
    if coefficients is None:
        if defaults is None or defaults.status == "none":
            logger.warning(
                "TeaCache has no coefficients for %s and rescales nothing: it is uncalibrated, and a threshold means "
                "something else than for other models. Pass `coefficients` to change that",
                transformer_type,
            )
        coefficients = list((defaults or Defaults()).coefficients)
    settled = replace(
        config,
        coefficients=coefficients,
        transformer_type=transformer_type,
        accumulate=config.accumulate or (defaults or Defaults()).accumulate,
    )
    compiled_for = getattr(extractor, "compiled_for", None)
    return Resolved(
        config=settled,
        extractor=extractor if compiled_for is None else compiled_for(module),
        polynomial=Polynomial(tuple(coefficients)),
        bypass=tuple(getattr(extractor, "bypass", ())),
    )


def _resolve_type(config: TeaCacheConfig, module: nn.Module) -> str:
    cls = type(module)
    own = find_type(cls)
    if not config.is_type_given:
        if own is None:
            raise ValueError(
                f"TeaCache knows no transformer of class {cls.__name__}{did_you_mean(cls.__name__, known_types())} "
                f"Known: {listed(known_types())}. Add it with register_extractor({cls.__name__!r}, extractor_fn) or "
                f"write a spec"
            )
        return own
    given = config.transformer_type
    if not _serves(given, own, cls):
        raise ValueError(
            f"transformer_type is {given!r}, but the module is a {cls.__name__}. Leave transformer_type out to have it "
            f"found out, or register the extractor you mean: register_extractor({cls.__name__!r}, extractor_fn)"
        )
    return given


def _serves(given: str, own: str | None, cls: type) -> bool:
    """Returns whether a given type is not contradicted by the module's class, known as `own`."""
    if any(base.__name__ == given for base in cls.__mro__):
        return True
    if given not in known_types():
        # Fails as unknown later on, unless the module is known as something else.
        return own is None
    extractor = get_extractor(given)
    if own is not None:
        return get_extractor(own) is extractor
    # A hand-written extractor may be registered under any string; a spec is always about the class of that name.
    return not hasattr(extractor, "compiled_for")
