"""Steps of a model without weights: its forward, and both kinds of steps of its extractor, with their operations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from teaspec.compiler import compile_spec
from teaspec.compiler.forms.probe import Probe
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.rules.objects import own_classes
from teaspec.proof.flops import count_flops
from teaspec.proof.inputs import Arguments, Example, make_arguments
from teaspec.proof.run import surroundings
from tools.models.products import ZeroProducts

Dims = Mapping[str, int]


class UncountableError(Exception):
    """The step runs, but not under PyTorch's counter."""


def forward(module: nn.Module, probe: Probe, dims: Dims) -> None:
    """Runs a full step: the model's own forward, without an extractor."""
    given = _arguments(module, probe, dims)
    with _around(module):
        module(*given.args, **given.kwargs)


def count(spec: Spec, module: nn.Module, probe: Probe, dims: Dims) -> tuple[int, int]:
    """Operations of a full and of a reused step, the latter without the decision and the addition of the residuals.

    Args:
        spec: The spec of the model.
        module: The model.
        probe: Inputs that it accepts.
        dims: Their sizes.

    Raises:
        UncountableError: PyTorch does not count these operations.
    """
    extractor = compile_spec(spec, module)
    left: list[tuple[Any, ...]] = []

    def compute(context: Any) -> None:
        values = context.run_transformer_blocks()
        left[:] = values if "live" in (context.extra_states or {}) else values[:1]
        context.postprocess(*left)

    def step(drive: Callable[[Any], Any]) -> None:
        given = _arguments(module, probe, dims)
        with _around(module):
            extractor.enter(module, given.args, given.kwargs, drive)

    full = count_flops(lambda: step(compute))
    reused = count_flops(lambda: step(lambda context: context.postprocess(*left)))
    if full is None or reused is None:
        raise UncountableError
    return full, reused


@contextmanager
def _around(module: nn.Module) -> Iterator[None]:
    device = _device(module)
    products = nullcontext() if device.type == "meta" else ZeroProducts()  # type: ignore[no-untyped-call]
    with surroundings(), torch.no_grad(), torch.device(device), products:
        yield


def _arguments(module: nn.Module, probe: Probe, dims: Dims) -> Arguments:
    example = Example(0, torch.float32, dims, frozenset(), None, 0, 0)
    parameters = dict(list(inspect.signature(type(module).forward).parameters.items())[1:])
    device = _device(module)
    # numbers that the meta device would drop at once are not drawn at all: a video of them takes seconds
    with FakeTensorMode(allow_non_fake_inputs=True) if device.type == "meta" else nullcontext():
        given = make_arguments(probe, example, parameters, own_classes(type(module)))
    return Arguments(given.args, {name: _moved(value, device) for name, value in given.kwargs.items()})


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device="meta") if device.type == "meta" else value
    if isinstance(value, dict):
        return {key: _moved(item, device) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(item, device) for item in value)
    return value
