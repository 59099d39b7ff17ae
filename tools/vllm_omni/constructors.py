"""What vLLM-Omni's loader gives a constructor: a configuration that holds the `config.json` of the checkpoint."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

_OFF = {"HeliosTransformer3DModel": "_cache_enabled"}
"""What is switched off: a memo of a class's own that goes by the addresses of tensors, and so takes a new tensor for an
old one that lay in the same place."""

Make = Callable[[Mapping[str, Any]], Any]


def _never(_self: nn.Module) -> bool:
    return False


def give_config(cls: type) -> None:
    """Lets a class be built from plain values where its constructor takes a configuration.

    That is an `od_config`, in whose `tf_model_config` all values stand as when a checkpoint is loaded, or a `config` of
    a class with `from_dict`. What the constructor has no parameter for stands there alone.

    Args:
        cls: Any class of a module of models.
    """
    if not issubclass(cls, nn.Module) or "__init__" not in vars(cls):
        return
    if cls.__name__ in _OFF:
        setattr(cls, _OFF[cls.__name__], _never)
    init: Any = vars(cls)["__init__"]
    signature = inspect.signature(init)
    found = _config_of(cls, signature)
    if found is None:
        return
    given, make = found
    defaults = {name: one.default for name, one in signature.parameters.items() if one.default is not one.empty}

    @functools.wraps(init)
    def build(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        if not args and given not in kwargs:
            own = {name: value for name, value in kwargs.items() if name in signature.parameters}
            kwargs = {**own, given: make({**defaults, **kwargs})}
        init(self, *args, **kwargs)

    # A constructor that takes nothing by its name besides the configuration leaves open what stands in there.
    every = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    more = inspect.Parameter("values", inspect.Parameter.VAR_KEYWORD)
    build.__signature__ = signature.replace(parameters=[*every, more])  # type: ignore[attr-defined]
    setattr(cls, "__init__", build)  # noqa: B010 - an assignment is none to a type checker


def _config_of(cls: type, signature: inspect.Signature) -> tuple[str, Make] | None:
    """The parameter that takes a configuration, and what makes one of plain values."""
    if "od_config" in signature.parameters:
        return "od_config", _diffusion_config
    config = signature.parameters.get("config")
    named = re.match(r"\w+", str(config.annotation)) if config is not None else None
    own = getattr(sys.modules[cls.__module__], named[0], None) if named else None
    make: Make | None = getattr(own, "from_dict", None)
    return None if make is None else ("config", make)


def _diffusion_config(values: Mapping[str, Any]) -> Any:
    import torch
    from vllm_omni.diffusion.data import OmniDiffusionConfig, TransformerConfig

    config = OmniDiffusionConfig(model="", dtype=torch.float32)
    config.tf_model_config = TransformerConfig.from_dict(dict(values))
    return config
