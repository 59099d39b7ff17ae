"""The real hook on the probe, with the extractor under proof, and a count of the blocks that ran."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
from torch import nn

from teaspec.proof.inputs import Arguments, Example
from teaspec.proof.subject import Subject
from teaspec.runtime.calibrations.calibration import BASE
from teaspec.runtime.host.library import cache_context
from teaspec.runtime.pipeline.apply import apply_teacache_hook, remove_teacache_hook
from teaspec.runtime.rules.fixed import Always, Never
from teaspec.runtime.settings.config import TeaCacheConfig

# The decision is not what is proven here, so it is taken away from the signal. That is computed all the same: what its
# computation leaves behind is part of the proof.
ALWAYS_REUSE = TeaCacheConfig(rule=Never(needs_signal=True), variant=BASE)
ALWAYS_COMPUTE = TeaCacheConfig(rule=Always(needs_signal=True), variant=BASE)

_steps = count()


@contextmanager
def hooked(subject: Subject, example: Example, config: TeaCacheConfig) -> Iterator[nn.Module]:
    """Applies the hook with the extractor under proof, whatever the registry holds for the class, and removes it.

    Args:
        subject: The model and the spec.
        example: A call of the module.
        config: Decides whether steps are computed or reused.

    Yields:
        The module that the example calls.
    """
    module, inputs = subject.module(example), subject.alternatives[example.case].inputs
    extractor = Unidentified(subject.extractor(example), tuple(subject.spec.bypass), module, inputs)
    apply_teacache_hook(module, config, extractor=extractor)
    try:
        yield module
    finally:
        remove_teacache_hook(module)


def call(module: nn.Module, arguments: Arguments, branch: str = "cond") -> Any:
    """Calls the module without gradients, always as the next step of its branch, whatever the timestep."""
    with torch.no_grad(), cache_context(module, branch, step_index=next(_steps)):
        return module(*arguments.args, **arguments.kwargs)


class Unidentified:
    """The extractor under proof with the spec's `bypass`, as the registry holds it, but with nothing to tell calls by.

    The calls of a probe are those of no generation: rows are at timesteps of their own, and prompts are drawn anew.
    """

    timestep = ()

    def __init__(
        self, extractor: Callable[..., Any], bypass: tuple[str, ...], module: nn.Module, inputs: Iterable[str] = ()
    ) -> None:
        """Takes all arguments of the module's forward for varying.

        Args:
            extractor: Cuts the calls whose arguments are looked at.
            bypass: Which arguments send a call past the cache.
            module: The probe.
            inputs: What calls pass; a forward may take more than its signature names (`**kwargs`).
        """
        self.bypass = bypass
        self.varying = tuple(dict.fromkeys([*inspect.signature(module.forward).parameters, *inputs]))
        self._extractor = extractor

    def __call__(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Cuts one call of the module's forward."""
        return self._extractor(module, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._extractor, name)
