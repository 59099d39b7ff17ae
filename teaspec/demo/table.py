"""The demo's result for a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from teaspec.demo.result import DemoResult

_COLUMNS = (
    *("steps\ncomputed", "steps\nreused", "\nseconds", "time\nratio", "\nspread"),
    *("ideal\nratio", "off\nideal", "L1\nerror"),
)


def render(result: DemoResult) -> RenderableType:
    """Lays the result out as a table with its notes."""
    return Group(Text(_heading(result)), _table(result), *(Text(note) for note in _notes(result)))


def _heading(result: DemoResult) -> str:
    settings = result.settings
    return (
        f"FluxPipeline, {result.parameters / 1e6:.1f} M parameters with random weights, {settings.steps} steps, "
        f"{settings.side * settings.side} image tokens, batch {settings.batch}, cpu with {result.threads} threads"
    )


def _table(result: DemoResult) -> Table:
    table = Table(
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
        caption=(
            f"medians of {result.settings.rounds} interleaved rounds; spread: range of time ratio / median\n"
            "L1 error: of the result, relative to the uncached one"
        ),
    )
    table.add_column("\nthreshold", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(
        "uncached", str(result.settings.steps), "0", f"{result.uncached.median:.2f}", "1.000", "", "1.000", "", "0.0000"
    )
    for run in result.runs:
        ratio = run.time_ratio
        table.add_row(
            f"{run.threshold:g}",
            str(run.computed),
            str(run.reused),
            f"{run.seconds.median:.2f}",
            f"{ratio.median:.3f}",
            f"{(ratio.high - ratio.low) / ratio.median:.1%}",
            f"{run.ideal_ratio:.3f}",
            f"{ratio.median / run.ideal_ratio - 1:+.1%}",
            f"{run.error:.4f}",
        )
    return table


def _notes(result: DemoResult) -> list[str]:
    cost = result.hook_cost
    costs = ", ".join(f"{run.reused_cost:.1%} at {run.threshold:g}" for run in result.runs if run.reused)
    return [
        f"A reused step takes {costs} of the time of an uncached one. Ideal: computed steps plus reused steps at that "
        "price, over all steps."
        if costs
        else "No step was reused.",
        f"A computed step with the hook takes {cost.ratio.median:.4f} times as long as without it "
        f"({1e3 * cost.hooked.median:.1f} ms, {1e3 * cost.plain.median:.1f} ms; medians of {cost.ratio.count} pairs).",
        f"Coefficients: {list(result.settings.coefficients)}. Decision per step: {result.figure}",
        "The weights are random. The times would be the same with trained weights of this size; the errors would not, "
        "and say nothing about image quality. Thresholds for trained weights are in the specs.",
        f"The demo took {result.elapsed:.0f} s.",
    ]
