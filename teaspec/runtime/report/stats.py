"""What TeaCache did on a pipeline: counts, decisions, memory and time."""

from __future__ import annotations

from dataclasses import fields
from io import StringIO
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from teaspec.runtime.calibrations.calibration import BASE
from teaspec.runtime.pipeline.pipelines import hooks_of
from teaspec.runtime.report.data import BranchStats, Totals, TransformerStats
from teaspec.runtime.report.plain import as_dict
from teaspec.runtime.step.hook import TeaCacheHook

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

_LIVE = {"process_group", "cfg_group", "on_decision"}
"""Settings that stand for something that runs."""


class Stats(Totals):
    """What `stats` found. It prints as a table, in rich and as text."""

    def plot(self, path: Path | str | None = None) -> Figure:
        """Draws what was decided at each step, and on what.

        Args:
            path: The file to write, None to write none.

        Returns:
            The figure.

        Raises:
            ModuleNotFoundError: If matplotlib is missing.
            ValueError: If nothing was decided yet.
        """
        from teaspec.runtime.report.figure import draw

        figure = draw(self)
        if path is not None:
            figure.savefig(path)
        return figure

    def to_dict(self) -> dict[str, Any]:
        """Returns what was found as plain data, which `json.dumps` takes."""
        return as_dict(self)

    def __rich__(self) -> RenderableType:
        from teaspec.runtime.report.table import render

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

    Returns:
        What each of its transformers did; its text is a table.

    Raises:
        ValueError: If TeaCache is not on.
    """
    return Stats(tuple(_of(name, hook) for name, hook in hooks_of(pipeline).items()))


def _of(name: str, hook: TeaCacheHook) -> TransformerStats:
    session, rule = hook.sessions.current(), hook.rule
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
        branches=tuple(branches),
        bytes_held=session.bytes_held,
        sessions={one.key: one.bytes_held for one in hook.sessions.all},
        variant=hook.config.variant or BASE,
        rule=str(rule),
        columns=rule.columns,
        compared=rule.compared,
        added=rule.added,
        bound=rule.bound,
        settings={one.name: getattr(hook.config, one.name) for one in fields(hook.config) if one.name not in _LIVE},
        most_bytes=hook.sessions.most_bytes,
        sums=hook.sessions.sums,
    )
