"""Building models without their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy
import torch
from accelerate import init_empty_weights
from torch import nn

from teaspec.compiler.forms.spec import Spec


def on_meta(model_class: type[nn.Module], config: Mapping[str, Any]) -> nn.Module:
    """An instance that has shapes and no values at all."""
    with torch.device("meta"):
        module = model_class(**plain(config))
    return module.to("meta").eval()


def on_cpu(model_class: type[nn.Module], config: Mapping[str, Any]) -> nn.Module:
    """An instance whose weights are zeros that take no memory, and whose buffers are what they should be."""
    with init_empty_weights(include_buffers=False):
        module = model_class(**plain(config))
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            zeros = torch.from_numpy(numpy.zeros(tuple(parameter.shape), dtype="float32"))  # mapped, not written
            part.register_parameter(name, nn.Parameter(zeros, requires_grad=False))
    return module.eval()


def plain(value: Any) -> Any:
    """A copy of a frozen config as dicts and lists: some constructors change what they are given."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def blocks_of(spec: Spec, module: nn.Module) -> dict[str, int]:
    """How many blocks each loop of a spec has in a model."""
    return {loop: len(list(module.get_submodule(loop).children())) for loop in spec.blocks.loops}


def layer_keys(spec: Spec, model_class: type[nn.Module], config: Mapping[str, Any]) -> dict[str, int]:
    """The integers of a config that decide how many blocks there are.

    Args:
        spec: The spec.
        model_class: Its model's class.
        config: Keyword arguments of the constructor.
    """
    module: Any = on_meta(model_class, config)
    counts = blocks_of(spec, module)
    keys: dict[str, int] = {}
    for key, value in module.config.items():
        if type(value) is int and value in counts.values():
            try:
                other = blocks_of(spec, on_meta(model_class, {**config, key: value + 1}))
            except Exception:
                continue  # no number of layers: what depends on it no longer fits together
            if other != counts:
                keys[key] = value
    return keys
