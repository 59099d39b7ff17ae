"""Records what the blocks add at each step of uncached generations: as inner products, of which all else follows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from teaspec.runtime.rules.missed import Missed
from teaspec.runtime.rules.rule import Memory, Rule, Seen, Start
from teaspec.runtime.rules.steps import Place
from teaspec.runtime.rules.verdict import Verdict

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Residuals:
    """The residuals of one branch of a generation, or of several on average.

    Attributes:
        products: Inner products of the residuals of each two steps, less that of the first step. Of a forecast, whose
            weights add up to one, they tell the error.
        sizes: Squared norms of the streams behind the blocks at each step.
        at: How far the sampler has come where each step begins.
        share: How much of its way each step is.
    """

    products: Matrix
    sizes: Matrix
    at: Matrix
    share: Matrix

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def mean(cls, several: Sequence[Residuals]) -> Residuals:
        """Returns the average of branches that have the most frequent number of steps.

        Args:
            several: What was recorded.

        Raises:
            ValueError: If nothing was.
        """
        lengths = [len(one) for one in several if len(one) > 1]
        if not lengths:
            raise ValueError("no residuals were recorded: the pipeline did not run two steps of one branch in a row")
        usual = max(sorted(set(lengths)), key=lengths.count)
        kept = [one for one in several if len(one) == usual]
        names = ("products", "sizes", "at", "share")
        return cls(*(np.mean([getattr(one, name) for one in kept], axis=0) for name in names))


@dataclass(eq=False)
class _Branch:
    """What was seen of one branch so far."""

    places: list[tuple[float, float] | None] = field(default_factory=list)
    total: int | None = None
    residuals: list[torch.Tensor] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    def finished(self) -> Residuals | None:
        """As inner products; None where a step is missing."""
        steps = len(self.places)
        if steps < 2 or len(self.residuals) != steps - 1 or (self.total is not None and self.total != steps):
            return None
        flat = torch.stack(self.residuals).double()
        products = np.zeros((steps, steps))
        products[1:, 1:] = (flat @ flat.T).numpy()
        ways = [place or (number / steps, 1 / steps) for number, place in enumerate(self.places)]
        at, share = (np.array(one) for one in zip(*ways, strict=True))
        return Residuals(products, np.array([self.sizes[0], *self.sizes]), at, share)


class Recording:
    """Branches that are being recorded. Residuals of all steps of a generation are held, on the CPU in float32."""

    def __init__(self) -> None:
        """Nothing is recorded yet."""
        self._branches: list[_Branch] = []

    def begin(self) -> int:
        """Begins a branch and returns its number."""
        self._branches.append(_Branch())
        return len(self._branches) - 1

    def step(self, number: int, place: Place) -> None:
        """Takes note of where a step is."""
        self._branches[number].places.append(place.way)
        self._branches[number].total = place.total

    def residual(self, number: int, error: Missed) -> None:
        """Adds what a residual differs by from that of the step before."""
        branch = self._branches[number]
        moved = _flat(error.off.values())
        before = branch.residuals[-1] if branch.residuals else torch.zeros_like(moved)
        branch.residuals.append(before + moved)
        branch.sizes.append(float(_flat(error.values.values()).double().square().sum()))

    def take(self) -> list[Residuals]:
        """Returns the branches that were recorded from their first step to the last, and forgets all."""
        found = [branch.finished() for branch in self._branches]
        self._branches = []
        return [one for one in found if one is not None]


@dataclass(frozen=True)
class Recorder(Rule):
    """Computes each step, and has its residuals recorded. Use it beside the forecast `last`.

    Attributes:
        recording: Where to.
    """

    recording: Recording

    needs_error = True

    def init(self, start: Start) -> int:
        """Begins a branch."""
        return self.recording.begin()

    def decide(self, numbers: Sequence[float], place: Place, memory: Memory) -> Verdict:
        """Computes."""
        return Verdict("compute", "recorded")

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Memory) -> Memory:
        """Takes note of where the step is."""
        self.recording.step(memory, place)
        return memory

    def learn(self, error: Missed, memory: Memory) -> Memory:
        """Takes note of its residuals."""
        self.recording.residual(memory, error)
        return memory


def _flat(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    return torch.cat([one.detach().float().flatten().cpu() for one in tensors])
