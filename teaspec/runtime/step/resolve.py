"""Brings a user's config and a module together: which extractor, and which calibration."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from teaspec.runtime.calibrations.calibration import BASE, Calibration, Defaults
from teaspec.runtime.calibrations.registry import find_defaults, find_type, get_extractor, known_types
from teaspec.runtime.calibrations.variants import Choice, choose
from teaspec.runtime.contract.bypass import Bypass
from teaspec.runtime.naming import did_you_mean, listed
from teaspec.runtime.settings.config import NotGiven, TeaCacheConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resolved:
    """A config with nothing left open, and what follows from it.

    Attributes:
        config: A copy of the user's config with every choice made.
        extractor: Serves this very module: a spec's extractor is compiled for it by now.
        bypass: Which arguments send a call past the cache.
        published: What is published about the variant in use.
    """

    config: TeaCacheConfig
    extractor: Callable[..., Any]
    bypass: tuple[Bypass, ...]
    published: Calibration


def resolve(config: TeaCacheConfig, module: nn.Module, given: Callable[..., Any] | None = None) -> Resolved:
    """Settles a config for a module; the config itself stays as it is.

    Args:
        config: The user's config.
        module: The transformer.
        given: An extractor to use in place of the registered one.

    Raises:
        ValueError: If no extractor serves the module, the given type is that of another model, or there is no such
            variant.
    """
    transformer_type = _resolve_type(config, module) if given is None else type(module).__name__
    extractor: Any = get_extractor(transformer_type) if given is None else given
    compiled_for = getattr(extractor, "compiled_for", None)
    bypass = tuple(map(Bypass.parse, getattr(extractor, "bypass", ())))
    defaults = getattr(given, "defaults", None) or find_defaults(find_type(type(module)) or transformer_type)
    choice = choose(
        defaults or Defaults(),
        module,
        variant=config.variant,
        may_choose=config.coefficients is None,
        may_compile=compiled_for is not None,
    )
    settled = _settle(config, choice, transformer_type)
    if compiled_for is not None:
        # A variant with a signal of its own has an extractor of its own.
        extractor = compiled_for(module) if choice.calibration.signal is None else compiled_for(module, choice.name)
    return Resolved(settled, extractor, bypass, choice.calibration)


def _settle(config: TeaCacheConfig, choice: Choice, transformer_type: str) -> TeaCacheConfig:
    calibration = choice.calibration
    if choice.doubt and config.is_published_rule:
        logger.warning(choice.doubt)
    has_said = config.is_published_rule and not isinstance(config.preset, NotGiven)
    if has_said and config.coefficients is None and calibration.status == "none":
        logger.warning(
            "TeaCache has no coefficients for %s and rescales nothing: it is uncalibrated, and a threshold means "
            "something else than for other models. Pass `coefficients` to change that",
            transformer_type if choice.name == BASE else f"{transformer_type}, variant {choice.name}",
        )
    logger.info(
        "TeaCache on %s: variant %s %s (%s%s)",
        *(transformer_type, choice.name, choice.why, calibration.status),
        f", {calibration.source}" if calibration.source else "",
    )
    published: dict[str, Any] = {
        "coefficients": config.coefficients or list(calibration.coefficients),
        "accumulate": config.accumulate or calibration.accumulate,
        "warmup_steps": calibration.warmup_steps if config.warmup_steps is None else config.warmup_steps,
    }
    # What is published is about TeaCache's rule alone.
    published = published if config.is_published_rule else {}
    return replace(config, transformer_type=transformer_type, variant=choice.name, **published)


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
