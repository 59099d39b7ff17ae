"""What a comparison found, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from torch import Tensor

from teaspec.compare.job import Motif
from teaspec.compare.settings import Setting
from teaspec.compare.shot import Decided
from teaspec.spread import Spread


@dataclass(frozen=True)
class Nearness:
    """How near the pictures of one generation are to the uncached ones.

    Attributes:
        psnr: In dB, the mean over images or videos; infinite where all are equal.
        ssim: At most 1.
        lpips: At least 0, None where it is not measured.
    """

    psnr: float
    ssim: float
    lpips: float | None


@dataclass(frozen=True, eq=False)
class Outcome:
    """One generation with a cache, beside the uncached one of the same motif.

    Attributes:
        motif: Prompt and seed.
        seconds: Wall time.
        time_ratio: Wall time over that of the uncached generation beside it.
        nearness: How near its pictures are.
        branches: What was decided in each branch, step by step.
    """

    motif: Motif
    seconds: float
    time_ratio: float
    nearness: Nearness
    branches: Mapping[str, Sequence[Decided]]

    @property
    def steps(self) -> float:
        """Steps of a branch, the mean over the branches."""
        return sum(map(len, self.branches.values())) / len(self.branches)

    @property
    def computed(self) -> float:
        """Those of them that ran the blocks."""
        return sum(step.is_computed for steps in self.branches.values() for step in steps) / len(self.branches)


@dataclass(frozen=True, eq=False)
class Measured:
    """One setting, in all motifs.

    Attributes:
        setting: How TeaCache was set.
        outcomes: One for each motif, in their order.
    """

    setting: Setting
    outcomes: tuple[Outcome, ...]

    @cached_property
    def psnr(self) -> Spread:
        """PSNR over the motifs."""
        return Spread.of(one.nearness.psnr for one in self.outcomes)

    @cached_property
    def ssim(self) -> Spread:
        """SSIM over the motifs."""
        return Spread.of(one.nearness.ssim for one in self.outcomes)

    @cached_property
    def lpips(self) -> Spread | None:
        """LPIPS over the motifs, None where it is not measured."""
        found = [one.nearness.lpips for one in self.outcomes if one.nearness.lpips is not None]
        return Spread.of(found) if found else None

    @cached_property
    def time_ratio(self) -> Spread:
        """Time over that without a cache, motif by motif."""
        return Spread.of(one.time_ratio for one in self.outcomes)

    @cached_property
    def seconds(self) -> Spread:
        """Wall time of a generation."""
        return Spread.of(one.seconds for one in self.outcomes)

    @property
    def computed(self) -> float:
        """Computed steps of a branch, the median over the motifs."""
        return median(one.computed for one in self.outcomes)

    @property
    def steps(self) -> float:
        """Steps of a branch, the median over the motifs."""
        return median(one.steps for one in self.outcomes)


@dataclass(frozen=True, eq=False)
class Shown:
    """The pictures of one motif.

    Attributes:
        motif: Prompt and seed.
        uncached: The first clip without a cache, some of its frames, no larger than to be looked at.
        cached: The same with each setting.
    """

    motif: Motif
    uncached: Tensor
    cached: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that was found.

    Attributes:
        name: Where the pipeline comes from.
        pipeline: Its class.
        transformers: Classes of the transformers that are cached, by what the pipeline calls them.
        device: Where they are.
        arguments: Further arguments of the pipeline.
        motifs: What was asked.
        measured: The settings, in the order in which they were given.
        seconds: Wall time of a generation without a cache.
        repeats: PSNR of the first motif, generated a second time without a cache; infinite where it repeats itself.
        without_lpips: Why LPIPS is not measured, None where it is.
        shown: The pictures of the first motifs.
    """

    name: str
    pipeline: str
    transformers: Mapping[str, str]
    device: str
    arguments: Mapping[str, object]
    motifs: tuple[Motif, ...]
    measured: tuple[Measured, ...]
    seconds: Spread
    repeats: float
    without_lpips: str | None
    shown: tuple[Shown, ...]

    @property
    def is_video(self) -> bool:
        """Whether clips have several frames."""
        return any(len(one.uncached) > 1 for one in self.shown)
