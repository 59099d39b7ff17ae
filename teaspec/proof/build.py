"""Building the probe: a tiny instance of the spec's model, filled so that no error can hide."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from teaspec.compiler.report import did_you_mean
from teaspec.proof.limits import few_parameters, little_memory

DTYPES = (torch.float32, torch.bfloat16)

# Wide enough that a gate, a shift or a scale that somebody forgot changes the output far beyond rounding, narrow enough
# that two blocks do not blow it up.
_SPREAD = 0.2

_ROOM = 1 << 30
"""Bytes that building may take."""


class ProbeError(Exception):
    """The probe itself is at fault: its model cannot be built, or its own forward fails."""


def build_module(model_class: type[nn.Module], config: dict[str, Any], dtype: torch.dtype, seed: int) -> nn.Module:
    """Builds one instance with reproducible weights, in evaluation mode and frozen.

    Diffusion transformers are initialised as an identity: gates, modulations and output projections are zero, norms
    are one. With such weights a forward that loses its blocks or its modulation still gives the right output. Every
    constant parameter is therefore filled with noise around its value. What a constructor leaves uninitialised, for a
    checkpoint to fill, is noise around zero.

    Args:
        model_class: What is built; its constructor takes the config.
        config: Keyword arguments of its constructor.
        dtype: dtype of the parameters. Parts that the class asks to keep in float32, by diffusers' attribute
            `_keep_in_fp32_modules`, stay in float32, as they do in a loaded pipeline.
        seed: Seed of the weights.

    Returns:
        The module, on the CPU.

    Raises:
        ProbeError: The constructor refuses the configuration.
    """
    _require_arguments(model_class, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), _uninitialised_is_nan():
        torch.manual_seed(seed)
        try:
            with few_parameters(), little_memory(_ROOM):
                module = model_class(**config)
        except Exception as error:
            raise ProbeError(
                f"{model_class.__name__} cannot be built from the probe's config: {type(error).__name__}: {error}"
            ) from error
    with torch.no_grad():
        for parameter in module.parameters():
            if _is_constant(parameter) or bool(parameter.isnan().any()):
                noise = _SPREAD * torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
                parameter.nan_to_num_(0.0).add_(noise)
    return _cast(module.eval().requires_grad_(False), dtype)


def _require_arguments(model_class: type[nn.Module], config: dict[str, Any]) -> None:
    """Refuses what the constructor does not take, before Python does so without the nearest name."""
    try:
        parameters = inspect.signature(model_class).parameters
    except (TypeError, ValueError):
        return  # its constructor is not written in Python
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in config:
        if name not in parameters:
            near = "; ".join(did_you_mean(name, parameters))
            raise ProbeError(
                f"{model_class.__name__} cannot be built from the probe's config: it takes no `{name}`"
                + (near and f"; {near}")
            )


@contextmanager
def _uninitialised_is_nan() -> Iterator[None]:
    """Within it, `torch.empty` gives NaNs in place of what happens to stand in memory."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _is_constant(parameter: torch.Tensor) -> bool:
    return parameter.numel() > 0 and bool((parameter == parameter.flatten()[0]).all())


def _cast(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    if dtype == torch.float32:
        return module
    module.to(dtype)
    kept = set(getattr(module, "_keep_in_fp32_modules", None) or ())
    for name, parameter in module.named_parameters():
        if kept.intersection(name.split(".")):
            parameter.data = parameter.data.to(torch.float32)
    return module
