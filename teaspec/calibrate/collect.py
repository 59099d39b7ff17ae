"""Collects pairs while a pipeline runs uncached: one transformer, any spec, branch by branch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from teaspec.calibrate.pairs import Pairs, Trajectory
from teaspec.runtime.calibrations.calibration import BASE
from teaspec.runtime.contract.context import CacheContext
from teaspec.runtime.pipeline.apply import apply_hook, find_teacache_hook, remove_hook
from teaspec.runtime.rules.change import Change, relative_l1
from teaspec.runtime.rules.record import Decision
from teaspec.runtime.rules.rule import Memory
from teaspec.runtime.rules.steps import Place
from teaspec.runtime.rules.threshold import Threshold
from teaspec.runtime.rules.verdict import Verdict
from teaspec.runtime.settings.config import NO_TRANSFORMER_TYPE, TeaCacheConfig
from teaspec.runtime.step.hook import TeaCacheHook

Step = tuple[NDArray[np.float32], NDArray[np.float32]]


class Recording(list[Step]):
    """The steps of a collection in the order of the calls: modulated input, and hidden states behind the blocks.

    Attributes:
        trajectories: The same steps, those of each branch of each generation by themselves.
        pairs: What was measured between them.
    """

    def __init__(self, trajectories: list[list[Step]], steps: list[Step], pairs: Pairs) -> None:
        """Joins the steps and what is known of them."""
        super().__init__(steps)
        self.trajectories = trajectories
        self.pairs = pairs


@dataclass(eq=False)
class _Run:
    """One branch of one generation, as far as it has come."""

    branch: str
    output: torch.Tensor
    distances: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


class DataCollectionHook(TeaCacheHook):
    """Computes every step and notes how far the signal and the blocks' output moved since the branch's last step.

    Branches and generations are told apart as TeaCache tells them apart, by the same code. Register it with diffusers'
    `HookRegistry`, or use `collecting`.

    Attributes:
        keeps_tensors: Whether the tensors of all steps are kept, as `stop_collection` documents; pairs alone need no
            more memory than one step.
    """

    _HOOK_NAME = "teacache_collector"

    def __init__(
        self,
        transformer_type: str | None = None,
        *,
        extractor: Callable[..., Any] | None = None,
        keeps_tensors: bool = True,
    ) -> None:
        """Notes what is to be collected; nothing is hooked before the collection begins.

        Args:
            transformer_type: Registered type of the transformer; None finds it out from the module.
            extractor: Used in place of the registered one.
            keeps_tensors: Whether the tensors of all steps are kept.
        """
        config = TeaCacheConfig(
            rule=_Measuring(),
            variant=BASE,
            warmup_steps=0,
            cooldown_steps=0,
            transformer_type=NO_TRANSFORMER_TYPE if transformer_type is None else transformer_type,
            on_decision=self._note,
        )
        super().__init__(config, extractor)
        self.keeps_tensors = keeps_tensors
        self._collects = False
        self._latest: tuple[torch.Tensor, torch.Tensor] | None = None
        self._running: dict[tuple[Hashable, str], _Run] = {}
        self._runs: list[_Run] = []
        self._steps: list[Step] = []

    def initialize_hook(self, module: nn.Module) -> nn.Module:
        """Finds the module's extractor, and listens to it.

        Args:
            module: The transformer.

        Returns:
            The module.

        Raises:
            ValueError: If no extractor serves the module.
        """
        super().initialize_hook(module)
        assert self.extractor_fn is not None
        self.extractor_fn = _Listening(self.extractor_fn, self._hear)
        return module

    def start_collection(self) -> None:
        """Forgets what was collected, and begins."""
        self._running.clear()
        self._runs.clear()
        self._steps.clear()
        self._collects = True

    def stop_collection(self) -> Recording:
        """Stops collecting and hands over what was noted, which is then forgotten here.

        Returns:
            The steps in the order of the calls, as float32 arrays: empty unless tensors are kept. Its `trajectories`
            has them by branch and generation, its `pairs` what was measured.
        """
        self._collects = False
        self._latest = None
        recording = Recording([run.steps for run in self._runs if run.steps], self._steps, self.pairs)
        self._running.clear()
        self._steps = []
        return recording

    @property
    def pairs(self) -> Pairs:
        """What was measured so far."""
        trajectories = (Trajectory(run.branch, np.array(run.distances), np.array(run.changes)) for run in self._runs)
        return Pairs(self.config.transformer_type, tuple(one for one in trajectories if len(one.distances)))

    def _hear(self, signal: torch.Tensor, output: torch.Tensor) -> None:
        # A copy: the postprocessing may write into what the blocks returned.
        self._latest = (signal.detach(), output.detach().clone()) if self._collects else None

    def _note(self, _module: nn.Module, decision: Decision) -> None:
        if not self._collects or self._latest is None:
            return
        (signal, output), self._latest = self._latest, None
        key = (decision.session, decision.branch)
        run = self._running.get(key)
        if run is None or decision.distance is None:  # the first step of a generation has nothing to be compared with
            run = self._running[key] = _Run(decision.branch, output)
            self._runs.append(run)
        else:
            run.distances.append(decision.distance)
            run.changes.append(float(relative_l1(*Change.of(output, run.output))))
            run.output = output
        if self.keeps_tensors:
            step = (_array(signal), _array(output))
            run.steps.append(step)
            self._steps.append(step)


@dataclass(frozen=True)
class _Measuring(Threshold):
    """Measures what TeaCache's rule does, and computes each step."""

    def decide(self, numbers: Sequence[float], place: Place | None, memory: Memory) -> Verdict:
        return Verdict("compute", "collected", {"distance": numbers[0]})


class _Listening:
    """An extractor that tells what enters the decision and what the blocks return."""

    def __init__(self, extractor: Callable[..., Any], hear: Callable[[torch.Tensor, torch.Tensor], None]) -> None:
        self._extractor = extractor
        self._hear = hear

    def __call__(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self._listen(self._extractor(module, *args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._extractor, name)
        if name != "enter":
            return found
        return lambda module, args, kwargs, drive: found(module, args, kwargs, lambda cut: drive(self._listen(cut)))

    def _listen(self, context: Any) -> Any:
        if not isinstance(context, CacheContext):
            return context
        blocks = context.run_transformer_blocks

        def run_transformer_blocks() -> tuple[Any, ...]:
            values = blocks()
            self._hear(context.modulated_input, values[0])
            return values

        context.run_transformer_blocks = run_transformer_blocks
        return context


@contextmanager
def collecting(
    module: nn.Module, transformer_type: str | None = None, *, extractor: Callable[..., Any] | None = None
) -> Iterator[DataCollectionHook]:
    """Collects pairs from the calls of a transformer inside the block.

    Args:
        module: The transformer.
        transformer_type: Its registered type; None finds it out.
        extractor: Used in place of the registered one.

    Yields:
        The hook, whose `pairs` are what has been collected.

    Raises:
        ValueError: If TeaCache is on, or no extractor serves the module.
    """
    if find_teacache_hook(module) is not None:
        raise ValueError(f"TeaCache is on for this {type(module).__name__}; a calibration needs every step computed")
    hook = DataCollectionHook(transformer_type, extractor=extractor, keeps_tensors=False)
    apply_hook(module, hook)
    hook.start_collection()
    try:
        yield hook
    finally:
        remove_hook(module, hook)


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.float().cpu().numpy().copy()
