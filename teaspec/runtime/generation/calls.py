"""What is known of a call, and where it belongs: the data that the timeline is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from teaspec.runtime.generation.conditioning import Passed
from teaspec.runtime.generation.moments import Moment
from teaspec.runtime.generation.run import Run
from teaspec.runtime.generation.state import Layout

Counts = Mapping[tuple[str, Layout], int]


@dataclass(frozen=True, eq=False)
class Call:
    """What is known of a call.

    Attributes:
        moment: When it is.
        branch: The name of its branch; None has the call counted.
        paired: Whether calls without a name alternate between the two of `PAIR`.
        again: Whether the call before it failed, and this one does not repeat it.
        image: What it denoises, None where that is no tensor.
        total: Steps of the generation, as far as `cache_context` tells it.
        run: How far the scheduler of the pipeline is, None where nobody attends to one.
        passed: Its conditioning.
        layout: Shapes, dtypes and devices behind its prelude.
        differs: Whether its conditioning is not that of the branch, as far as it has been read.
        is_unknown: Whether that is so only because nobody knows.
        resized: Whether its timesteps are those of other tokens than before.
        undirected: Whether nobody can tell if its timestep is higher or lower than the last.
    """

    moment: Moment
    branch: str | None = None
    paired: bool = False
    again: bool = False
    image: torch.Tensor | None = None
    total: int | None = None
    run: Run | None = None
    passed: Passed = field(default_factory=dict)
    layout: Layout = ()
    differs: bool = False
    is_unknown: bool = False
    resized: bool = False
    undirected: bool = False

    def read(self, level: float | torch.Tensor | None) -> Call:
        """Returns the call with its level read."""
        return replace(self, moment=replace(self.moment, level=level))


@dataclass(frozen=True, eq=False)
class Position:
    """A call's place in its generation.

    Attributes:
        moment: When it is.
        branch: Its branch, as records and states have it.
        base: The same without the layout: what counts the steps of a branch whose batch changes.
        counts: Calls of this step so far, by name and layout.
        order: How many they are, this one included.
        step: Steps of the generation before this one, on this transformer.
        layouts: Those of the generation, in the order of their appearance.
        run: How far the scheduler was.
        levels: The timesteps of this step of the scheduler.
        called: What the call is counted among: the name that it was given, if any, and its layout.
        shifted: Those of which a call of this step was not the one that its number says.
        is_counted: Whether the pipeline gives the numbers of the last step and of this one.
        rising: Whether timesteps rise in this generation; None until two have been seen.
        usual: Whether they did before it.
        is_doubted: Whether the generation began because of a guess.
        restarts: Whether it begins a new generation.
        twin: The branch that it would be, were it the first of its name in its step; None where it is, or where calls
            are counted.
        seen: Names that were called in this generation, with the layouts in which they were, and how many calls of the
            step were like that before.
        may_be_first: Whether its step is the first one of its generation, or may be that of another one: it began with
            a name, or a layout, that was never seen.
        images: What the first call of each layout denoised, where nobody attends to a scheduler; of such a step.
        unsure: Whether calls of such a step were about several images: passes or windows of one generation, or the
            first calls of several. Or whether the generation began in the midst of a step.
        pattern: Calls of the step before, where that one was not sure.
        silent: A run that is not trusted: the timestep goes on, and no step ends.
    """

    moment: Moment
    branch: str
    base: str
    counts: Counts
    order: int = 1
    step: int = 0
    layouts: tuple[Layout, ...] = ()
    run: Run | None = None
    levels: tuple[float, ...] = ()
    called: tuple[str, Layout] = ("", ())
    shifted: frozenset[tuple[str, Layout]] = frozenset()
    is_counted: bool = False
    rising: bool | None = None
    usual: bool | None = None
    is_doubted: bool = False
    restarts: bool = False
    twin: str | None = None
    seen: frozenset[tuple[str, Layout, int]] = frozenset()
    may_be_first: bool = False
    images: Mapping[Layout, torch.Tensor] = field(default_factory=dict)
    unsure: bool = False
    pattern: Counts | None = None
    silent: tuple[int, int] | None = None

    @property
    def is_told(self) -> bool:
        """Whether somebody tells that the call belongs to this generation, so that it need not be guessed."""
        return self.run is not None or (self.is_counted and self.step > 0)

    @property
    def is_shifted(self) -> bool:
        """Whether an earlier call of this step was not the one that its number says, so that this one need not be."""
        return self.called in self.shifted

    def shifting(self) -> Position:
        """Returns the same, its own call known not to be the one that its number says."""
        return replace(self, shifted=self.shifted | {self.called})
