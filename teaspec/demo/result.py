"""What the demo found, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from teaspec.demo.settings import DemoSettings, Setting
from teaspec.runtime.rules.record import Decision
from teaspec.spread import Spread


@dataclass(frozen=True, eq=False)
class Uncached:
    """Generations without a cache.

    Attributes:
        guidance: Scale of true CFG.
        made: Images of shape (count, 16, 16) or videos of shape (count, frames, 16, 16), ink in [0, 1].
        accuracy: Share in which what was asked for is recognised.
        seconds: Wall time of a generation.
    """

    guidance: float
    made: Tensor
    accuracy: float
    seconds: Spread


@dataclass(frozen=True, eq=False)
class Cached:
    """Generations with TeaCache.

    Attributes:
        setting: How it was set.
        branches: What was decided at each step, by branch; the same in every repetition.
        made: The result.
        accuracy: Share in which what was asked for is recognised.
        psnr: To the uncached result, in dB, the mean over images or videos; infinite where one is equal.
        seconds: Wall time of a generation.
        time_ratio: Wall time over that of the uncached generation of the same round.
        flop_ratio: Floating point operations over those of the uncached generation.
    """

    setting: Setting
    branches: Mapping[str, tuple[Decision, ...]]
    made: Tensor
    accuracy: float
    psnr: float
    seconds: Spread
    time_ratio: Spread
    flop_ratio: float

    @property
    def calls(self) -> int:
        """Calls of the transformer: steps times branches."""
        return sum(map(len, self.branches.values()))

    @property
    def computed(self) -> int:
        """Calls that ran the blocks."""
        return sum(step.decision == "compute" for steps in self.branches.values() for step in steps)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Uncached and cached generations at one guidance scale."""

    uncached: Uncached
    cached: tuple[Cached, ...]


@dataclass(frozen=True)
class HookCost:
    """Steps at which nothing is reused, with the hook and without it, on the same inputs in turn.

    Attributes:
        plain: Seconds of an unhooked step.
        hooked: Seconds of a computed step with the hook.
        ratio: Hooked over plain, pair by pair.
    """

    plain: Spread
    hooked: Spread
    ratio: Spread


@dataclass(frozen=True)
class StepFlops:
    """Floating point operations of one call of the transformer.

    Attributes:
        full: Without a cache.
        reused: Where the residual is reused.
    """

    full: int
    reused: int


@dataclass(frozen=True, eq=False)
class DemoResult:
    """The figures of one model, and where its pictures are.

    Attributes:
        settings: What was run.
        pipeline: The class of the pipeline.
        reading: What is counted as recognised.
        parameters: Size of the transformer.
        threads: Threads that torch used.
        comparisons: One per guidance scale.
        hook_cost: What the hook adds to a computed step.
        flops: What a call costs.
        sheet: The PNG with what was made.
        figure: The PNG with the decision per step.
        elapsed: Seconds that all of it took.
    """

    settings: DemoSettings
    pipeline: str
    reading: str
    parameters: int
    threads: int
    comparisons: tuple[Comparison, ...]
    hook_cost: HookCost
    flops: StepFlops
    sheet: Path
    figure: Path
    elapsed: float
