"""What vLLM-Omni's loader gives a constructor: a configuration that holds the `config.json` of the checkpoint."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from torch import nn

_CONFIG = "od_config"

_OFF = {"HeliosTransformer3DModel": "_cache_enabled"}
"""What is switched off: a memo of a class's own that goes by the addresses of tensors, and so takes a new tensor for an
old one that lay in the same place."""


def _never(_self: nn.Module) -> bool:
    return False


def give_config(cls: type) -> None:
    """Lets a class be built from plain values where its constructor takes an `od_config`.

    As when a checkpoint is loaded, all values stand in the `tf_model_config` of that, too, and those that the
    constructor has no parameter for stand there alone.

    Args:
        cls: Any class of a module of models.
    """
    if not issubclass(cls, nn.Module) or "__init__" not in vars(cls):
        return
    if cls.__name__ in _OFF:
        setattr(cls, _OFF[cls.__name__], _never)
    init: Any = vars(cls)["__init__"]
    parameters = inspect.signature(init).parameters
    if _CONFIG not in parameters:
        return
    defaults = {name: one.default for name, one in parameters.items() if one.default is not one.empty}

    @functools.wraps(init)
    def build(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        if not args and _CONFIG not in kwargs:
            own = {name: value for name, value in kwargs.items() if name in parameters}
            kwargs = {_CONFIG: _config({**defaults, **kwargs}), **own}
        init(self, *args, **kwargs)

    setattr(cls, "__init__", build)  # noqa: B010 - an assignment is none to a type checker


def _config(values: dict[str, Any]) -> Any:
    import torch
    from vllm_omni.diffusion.data import OmniDiffusionConfig, TransformerConfig

    config = OmniDiffusionConfig(model="", dtype=torch.float32)
    config.tf_model_config = TransformerConfig.from_dict(values)
    return config
