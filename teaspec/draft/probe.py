"""The probe of a draft: a tiny configuration, and inputs with which the model's own forward runs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from teaspec.compiler.forms.probe import Probe
from teaspec.draft.construct import build_on_meta
from teaspec.draft.failure import Failure
from teaspec.draft.inputs import Inputs, first_inputs, forward_parameters, latents_of, likely_layouts
from teaspec.draft.options import option_of_what_is_absent
from teaspec.draft.shrink import shrunk_configs
from teaspec.draft.trial import Trial
from teaspec.proof.build import build_module
from teaspec.proof.inputs import Example, make_arguments
from teaspec.proof.limits import little_memory
from teaspec.proof.run import surroundings

_TOO_LARGE = 30_000_000
_LAYERS = (2, 3, 4, 6, 8)
"""How many layers are tried, until the landmarks are in the small instance what they are in a large one."""


@dataclass(frozen=True)
class ProbeDraft:
    """What was found.

    Attributes:
        config: Arguments of the constructor.
        dims: Ranges that sizes of the inputs are drawn from, by name.
        inputs: How each argument of the forward is drawn, as a spec writes it.
        error: Why the model's own forward fails; None where it runs.
        remarks: What was left out of the configuration, and why.
    """

    config: dict[str, Any]
    dims: dict[str, Any]
    inputs: dict[str, Any]
    error: str | None
    remarks: tuple[str, ...] = ()


def draft_probe(
    model_class: type[nn.Module], config: dict[str, Any], method: str, accepts: Callable[[nn.Module], bool]
) -> ProbeDraft:
    """Finds a tiny configuration, and inputs with which it runs.

    Args:
        model_class: An instance of it is run.
        config: Arguments without which it cannot be built.
        method: The method that holds the block loops.
        accepts: Whether the landmarks mean in a small instance what they mean in a large one.
    """
    if not latents_of(model_class):
        return ProbeDraft(config, {}, {}, "the forward takes no argument that could be drawn")
    best: ProbeDraft | None = None
    with surroundings(), little_memory():
        for module, tiny in _small_instances(model_class, config, accepts):
            for layout in likely_layouts(model_class, method):
                inputs = first_inputs(model_class, module, layout)
                error = Trial(module, inputs).run(call)
                if error is None:
                    return _finished(tiny, inputs, None)
                best = best or _finished(tiny, inputs, f"{type(error).__name__}: {error}")
                if option := option_of_what_is_absent(Failure(error, inputs.given), module):
                    without = draft_probe(model_class, {**config, option: False}, method, accepts)
                    remark = f"`{option}` is off, as it asks for what is not installed here: {error}"
                    return replace(without, remarks=(remark, *without.remarks))
    return best or ProbeDraft(config, {}, {}, "no small configuration can be built")


def call(module: nn.Module, inputs: Inputs, which: int) -> None:
    """Calls the module with the largest dims (1) or the smallest (0)."""
    dims = {name: limits[which] for name, limits in inputs.dims.items()}
    probe = Probe.model_validate({"dims": inputs.dims, "inputs": copy.deepcopy(inputs.values)})
    example = Example(0, torch.float32, dims, frozenset(), None, 0, 0)
    arguments = make_arguments(probe, example, forward_parameters(type(module)))
    inputs.given = arguments.kwargs
    with torch.no_grad():
        module(*arguments.args, **arguments.kwargs)


def _small_instances(
    model_class: type[nn.Module], config: dict[str, Any], accepts: Callable[[nn.Module], bool]
) -> Iterator[tuple[nn.Module, dict[str, Any]]]:
    layers = next((n for n in _LAYERS if _fits(model_class, config, n, accepts)), _LAYERS[0])
    for tiny in shrunk_configs(model_class, config, layers):
        try:
            with torch.device("meta"):
                size = sum(parameter.numel() for parameter in model_class(**copy.deepcopy(tiny)).parameters())
            if size <= _TOO_LARGE:
                yield build_module(model_class, copy.deepcopy(tiny), torch.float32, 0), tiny
        except Exception:  # the constructor does on a device what it does not on the meta device
            continue


def _fits(
    model_class: type[nn.Module], config: dict[str, Any], layers: int, accepts: Callable[[nn.Module], bool]
) -> bool:
    tiny = next(shrunk_configs(model_class, config, layers), None)
    return tiny is not None and accepts(build_on_meta(model_class, copy.deepcopy(tiny)))


def _finished(config: dict[str, Any], inputs: Inputs, error: str | None) -> ProbeDraft:
    used = {word for value in inputs.values.values() for word in _words(value)}
    dims = {name: limits for name, limits in inputs.dims.items() if name in used}
    return ProbeDraft(config, dims, inputs.values, error)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from value.replace("*", " ").replace("+", " ").split()
    elif isinstance(value, dict):
        for part in value.values():
            yield from _words(part)
    elif isinstance(value, list):
        for part in value:
            yield from _words(part)
