"""What TeaCache did on a pipeline: counts, decisions, memory and time."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from teaspec.runtime.hook import TeaCacheHook
from teaspec.runtime.pipelines import hooks_of
from teaspec.runtime.record import Decision

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType


@dataclass(frozen=True)
class BranchStats:
    """One branch of one generation.

    Attributes:
        branch: Its name.
        computed: Steps that ran the blocks.
        reused: Steps that reused a residual.
        decisions: What was decided at each step, with distance, rescaled and accumulated value; at most the last 4096
            of a generation's.
        computed_seconds: Median time of a computed call, None where there is none.
        reused_seconds: Median time of a reused call, None where there is none.
    """

    branch: str
    computed: int
    reused: int
    decisions: tuple[Decision, ...]
    computed_seconds: float | None
    reused_seconds: float | None

    @property
    def saved_seconds(self) -> float:
        """An estimate: as if each reused call had taken as long as the median computed one."""
        if self.computed_seconds is None or self.reused_seconds is None:
            return 0.0
        return self.reused * (self.computed_seconds - self.reused_seconds)


@dataclass(frozen=True)
class TransformerStats:
    """One transformer: the running generation of the current session, or its last one where none is running.

    Attributes:
        name: Its name in the pipeline.
        threshold: `rel_l1_thresh`.
        branches: In the order in which they were first called.
        bytes_held: Memory that the current session's tensors keep.
        sessions: Memory that each session's tensors keep, by key.
    """

    name: str
    threshold: float
    branches: tuple[BranchStats, ...]
    bytes_held: int
    sessions: dict[Hashable, int]


@dataclass(frozen=True)
class Stats:
    """What `stats` found. It prints as a table, in rich and as text.

    Attributes:
        transformers: One each.
    """

    transformers: tuple[TransformerStats, ...]

    @property
    def computed(self) -> int:
        """Calls that ran the blocks, of all transformers and branches."""
        return sum(branch.computed for one in self.transformers for branch in one.branches)

    @property
    def reused(self) -> int:
        """Calls that reused a residual, of all transformers and branches."""
        return sum(branch.reused for one in self.transformers for branch in one.branches)

    @property
    def bytes_held(self) -> int:
        """Memory that the current session's tensors keep."""
        return sum(one.bytes_held for one in self.transformers)

    @property
    def saved_seconds(self) -> float:
        """An estimate of the time that reuse has saved."""
        return sum(branch.saved_seconds for one in self.transformers for branch in one.branches)

    def plot(self, path: Path | str | None = None) -> Figure:
        """Draws the accumulated distance and the decision of each step.

        Args:
            path: The file to write, None to write none.

        Returns:
            The figure.

        Raises:
            ModuleNotFoundError: If matplotlib is missing.
            ValueError: If nothing was decided yet.
        """
        from teaspec.runtime.figure import draw

        figure = draw(self)
        if path is not None:
            figure.savefig(path)
        return figure

    def __rich__(self) -> RenderableType:
        from teaspec.runtime.table import render

        return render(self)

    def __str__(self) -> str:
        from rich.console import Console

        text = StringIO()
        Console(file=text, width=120).print(self)
        return text.getvalue().rstrip()


def stats(pipeline: Any) -> Stats:
    """Tells what TeaCache did: in the running generation of the current session, or in its last one.

    Args:
        pipeline: A pipeline with TeaCache, or one transformer.

    Raises:
        ValueError: If TeaCache is not on.
    """
    return Stats(tuple(_of(name, hook) for name, hook in hooks_of(pipeline).items()))


def _of(name: str, hook: TeaCacheHook) -> TransformerStats:
    session = hook.sessions.current()
    running = session.log.current
    generation = running if running.counts or session.log.last is None else session.log.last
    branches = []
    for branch, counts in generation.counts.items():
        decisions = tuple(one for one in generation.decisions if one.branch == branch)
        seconds = {
            choice: [one.elapsed.seconds for one in decisions if one.decision == choice and one.elapsed is not None]
            for choice in ("compute", "reuse")
        }
        branches.append(
            BranchStats(
                branch=branch,
                computed=counts.computed,
                reused=counts.reused,
                decisions=decisions,
                computed_seconds=median(seconds["compute"]) if seconds["compute"] else None,
                reused_seconds=median(seconds["reuse"]) if seconds["reuse"] else None,
            )
        )
    return TransformerStats(
        name=name,
        threshold=hook.config.rel_l1_thresh,
        branches=tuple(branches),
        bytes_held=session.bytes_held,
        sessions={one.key: one.bytes_held for one in hook.sessions.all},
    )
